"""Measurements, each printed as one table beside the figures of the real system (docs/design.md)."""
