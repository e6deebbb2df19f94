"""Which keys there are, in order, each with its latest revision: in memory, as etcd's own index.

Used by `kvstore.mvcc.store`, which fills it from history when it starts, so a write stores nothing but its
record. A dict answers for single keys; sorted lists of some hundred keys each, ordered by their first, answer
for ranges, so that counting or limiting one costs no more than finding its ends:

    firsts  a        f       p
    chunks  a b c d  f g k   p q        [c, h)  ->  from (0, 2) to (1, 2): 2 + 2 keys
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

CHUNK = 512
"""Keys in a chunk when it is made; one with twice as many is split."""

Place = tuple[int, int]


class KeyIndex:
    """key -> 12 bytes of revision.

    Invariants: the chunks, one after the other, are the keys of `_revisions` in order; none is empty, but
    there is always one; all keys of chunk i are at or above `_firsts[i]` and below `_firsts[i + 1]`.
    """

    def __init__(self, revisions: dict[bytes, bytes] | None = None) -> None:
        self._revisions = revisions if revisions is not None else {}
        keys = sorted(self._revisions)
        self._chunks = [keys[at : at + CHUNK] for at in range(0, len(keys), CHUNK)] or [[]]
        self._firsts = [chunk[0] for chunk in self._chunks if chunk] or [b""]
        self.get = self._revisions.get

    def __len__(self) -> int:
        return len(self._revisions)

    def put(self, key: bytes, revision: bytes) -> None:
        if key not in self._revisions:
            self._insert(key)
        self._revisions[key] = revision

    def _insert(self, key: bytes) -> None:
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            at = 0
            self._firsts[0] = key
        chunk = self._chunks[at]
        chunk.insert(bisect_left(chunk, key), key)
        if len(chunk) > 2 * CHUNK:
            upper = chunk[CHUNK:]
            del chunk[CHUNK:]
            self._chunks.insert(at + 1, upper)
            self._firsts.insert(at + 1, upper[0])

    def delete(self, key: bytes) -> None:
        """Nothing happens if it is not there."""
        if self._revisions.pop(key, None) is None:
            return
        at, offset = self._place(key)
        chunk = self._chunks[at]
        del chunk[offset]
        if not chunk and len(self._chunks) > 1:
            del self._chunks[at], self._firsts[at]

    def count(self, start: bytes, end: bytes) -> int:
        """How many keys are in [start, end); `end` b"" is no bound."""
        (first, low), (last, high) = self._places(start, end)
        if first == last:
            return max(0, high - low)
        return sum(map(len, self._chunks[first:last])) - low + high if first < last else 0

    def keys(self, start: bytes, end: bytes, limit: int = 0) -> list[bytes]:
        """The keys of [start, end) in order, the first `limit` of them unless it is 0."""
        (first, low), (last, high) = self._places(start, end)
        if first >= last:
            found = self._chunks[first][low:high] if first == last else []
            return found[:limit] if limit else found
        found = self._chunks[first][low:]
        for at in range(first + 1, last):
            if limit and len(found) >= limit:
                return found[:limit]
            found += self._chunks[at]
        found += self._chunks[last][:high]
        return found[:limit] if limit else found

    def items(self, start: bytes, end: bytes, limit: int = 0) -> list[tuple[bytes, bytes]]:
        """As `keys`, with their revisions."""
        keys = self.keys(start, end, limit)
        return list(zip(keys, map(self._revisions.__getitem__, keys), strict=True))

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            yield from chunk

    def _places(self, start: bytes, end: bytes) -> tuple[Place, Place]:
        last = len(self._chunks) - 1
        return self._place(start), self._place(end) if end else (last, len(self._chunks[last]))

    def _place(self, key: bytes) -> Place:
        """Where the key is or would be: the number of its chunk, and how many keys there are below it."""
        at = max(0, bisect_right(self._firsts, key) - 1)
        return at, bisect_left(self._chunks[at], key)
