"""(P) Texts of digits as numbers, however long they are: Python's `int` refuses more than 4,300 digits, and takes
quadratic time below that.
"""

from __future__ import annotations

from typing import Final

BEYOND: Final = 1 << 64
"""Stands for every number that no integer type of Go's holds; so does its negative."""
_LONGEST: Final = 20


def integer(text: str) -> int:
    """``text``: ASCII digits, with a sign or without. What does not fit into 64 bits is `BEYOND` or -`BEYOND`."""
    digits = text.lstrip("+-").lstrip("0")
    magnitude = int(digits or "0") if len(digits) <= _LONGEST else BEYOND
    return -magnitude if text.startswith("-") else magnitude
