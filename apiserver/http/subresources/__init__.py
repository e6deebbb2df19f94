"""Subresources and resources that are not stored objects, one a file; ``catalogue`` says which serves what."""
