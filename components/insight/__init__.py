"""Answers to "why?": records of all processes gathered, told as stories, and explained; served by every master."""
