"""Which ranges hold a key: a map from half-open key ranges to items, answered in logarithmic time.

Used by `kvstore.watch.hub` once per event. Single keys sit in a dict. Ranges cut the key space into cells,
and each cell lists the items whose range covers it:

    add [a, m) P; add [c, z) Q      bounds:  ""   a    c      m    z
                                    cells:   -    P    P Q    Q    -
"""

from __future__ import annotations

import bisect
from typing import Generic, TypeVar

T = TypeVar("T")


class IntervalMap(Generic[T]):
    """Invariants: `_bounds` is sorted, starts with b"" and as long as `_cells`; neighbouring cells differ."""

    def __init__(self) -> None:
        self._points: dict[bytes, tuple[T, ...]] = {}
        self._bounds: list[bytes] = [b""]
        self._cells: list[tuple[T, ...]] = [()]

    def add(self, start: bytes, end: bytes, item: T) -> None:
        """Put the item on the non-empty [start, end); `end` b"" is no bound."""
        if end == start + b"\0":
            self._points[start] = (*self._points.get(start, ()), item)
            return
        first = self._split(start)
        last = self._split(end) if end else len(self._cells)
        for at in range(first, last):
            self._cells[at] += (item,)

    def remove(self, start: bytes, end: bytes, item: T) -> None:
        """Take the item off the range that it was added with."""
        if end == start + b"\0":
            self._remove_point(start, item)
            return
        first = bisect.bisect_left(self._bounds, start)
        last = bisect.bisect_left(self._bounds, end) if end else len(self._cells)
        for at in range(first, last):
            self._cells[at] = tuple(other for other in self._cells[at] if other is not item)
        for at in range(min(last, len(self._cells) - 1), max(first, 1) - 1, -1):
            if self._cells[at] == self._cells[at - 1]:
                del self._cells[at], self._bounds[at]

    def match(self, key: bytes) -> tuple[T, ...]:
        """The items whose range holds the key."""
        cell = self._cells[bisect.bisect_right(self._bounds, key) - 1]
        point = self._points.get(key)
        return cell if point is None else cell + point

    def _remove_point(self, key: bytes, item: T) -> None:
        left = tuple(other for other in self._points[key] if other is not item)
        if left:
            self._points[key] = left
        else:
            del self._points[key]

    def _split(self, bound: bytes) -> int:
        at = bisect.bisect_left(self._bounds, bound)
        if at == len(self._bounds) or self._bounds[at] != bound:
            self._bounds.insert(at, bound)
            self._cells.insert(at, self._cells[at - 1])
        return at
