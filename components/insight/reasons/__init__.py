"""Kinds of reasons, one a file (P): ``find(situation)`` gives what it has found, or nothing.

A weight says how much a finding explains: 90 and more that something is not there or goes away, 60 to 89 what keeps it
from working, 30 to 59 what it waits for, below that what is good to know.
"""
