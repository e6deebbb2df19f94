"""Counts and distributions that cost next to nothing to record (P); ``metrics`` turns them into Prometheus' form.

prometheus-client takes a lock for every number and walks the buckets of every observation; here, on one event loop,
an observation is a search in a tuple and two additions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Self, TypeVar

Labels = tuple[str, ...]
K = TypeVar("K")


@cache
def bucket_names(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """As Prometheus writes them."""
    return (*(repr(float(bound)) for bound in bounds), "+Inf")


class Distribution:
    """Observations by bucket: ``bounds`` are inclusive upper limits, ascending, without infinity."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        return list(zip(bucket_names(self._bounds), map(float, accumulate(self._counts)), strict=True))

    def copy(self) -> Distribution:
        """That does not change any more."""
        found = Distribution(self._bounds)
        found._counts, found.total = self._counts.copy(), self.total
        return found


class Distributions:
    """By labels."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._found: dict[Labels, Distribution] = {}

    def of(self, labels: Labels) -> Distribution:
        found = self._found.get(labels)
        if found is None:
            found = self._found[labels] = Distribution(self._bounds)
        return found

    def items(self) -> Iterator[tuple[Labels, Distribution]]:
        return iter(list(self._found.items()))


class Counts(defaultdict[K, int]):
    """Numbers by labels, from 0."""

    def __init__(self) -> None:
        super().__init__(int)

    def copy(self) -> Self:
        """That does not change any more."""
        found = type(self)()
        found.update(self)
        return found
