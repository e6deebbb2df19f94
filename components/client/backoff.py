"""Exponential backoff with jitter (P); used between reconnects of an informer."""

from __future__ import annotations

import random


class Backoff:
    """Pauses of first, 2 x first, 4 x first ... at most `cap` seconds, each lengthened by up to its half."""

    def __init__(self, first: float, cap: float, rng: random.Random) -> None:
        self._first = first
        self._cap = cap
        self._rng = rng
        self._next = first

    def next(self) -> float:
        pause = self._next
        self._next = min(self._next * 2, self._cap)
        return pause * (1 + self._rng.random() / 2)

    def reset(self) -> None:
        self._next = self._first
