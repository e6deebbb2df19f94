"""`kvstore check HISTORY`: judges a recorded history (`kvstore.check`)."""

from __future__ import annotations

from kvstore.check.command import main

__all__ = ["main"]
