"""What a user's permissions add up to: disjoint key ranges, so that one request may span several grants.

Used by `kvstore.auth.store`. With [a, m) and [m, z) granted by two roles, a range [c, p) is permitted:

    grants  [a, e) [c, m) [m, p) [t, z)     ->     [a, p) [t, z)

Source: etcd `server/auth/range_perm_cache.go`.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from kvstore.mvcc.ranges import FROM_KEY, bounds

Interval = tuple[bytes, bytes]


class KeyRanges:
    """A set of keys. Invariant: `_starts` ascend, ranges neither overlap nor touch; end b"" is no bound."""

    def __init__(self, ranges: Iterable[Interval]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes] = []
        for start, end in sorted(interval for interval in ranges if not is_empty(*interval)):
            self._append(start, end)

    def _append(self, start: bytes, end: bytes) -> None:
        if not self._ends or (self._ends[-1] and self._ends[-1] < start):
            self._starts.append(start)
            self._ends.append(end)
        elif self._ends[-1] and (not end or end > self._ends[-1]):
            self._ends[-1] = end

    def covers(self, start: bytes, end: bytes) -> bool:
        """Whether all of the non-empty [start, end) is in the set."""
        at = bisect.bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        own = self._ends[at]
        return not own or (bool(end) and end <= own)


def interval(key: bytes, range_end: bytes) -> Interval:
    """[start, end) of a permission or request; an empty key is the first one of all."""
    return bounds(key or b"\0", range_end) if range_end else (key, key + b"\0")


def is_empty(start: bytes, end: bytes) -> bool:
    return bool(end) and start >= end


def is_grantable(key: bytes, range_end: bytes) -> bool:
    """Whether a permission can be given over it: a key, and if an end, one behind it."""
    return bool(key) and (not range_end or range_end == FROM_KEY or key < range_end)
