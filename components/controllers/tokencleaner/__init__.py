"""Deletes bootstrap tokens whose time has passed."""
