"""Deletes dependents whose owners are gone; foreground and orphaning deletion."""
