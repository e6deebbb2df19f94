"""Deletes pods that nobody else will: of gone nodes, long finished, never scheduled."""
