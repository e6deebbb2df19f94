"""A table from keys of any length to revisions, in key order, on an engine that limits the length of keys.

LMDB takes keys of up to 511 bytes, etcd of any length. A key shorter than `LIMIT` is stored as it is. Longer
ones share a bucket named by their first `LIMIT` bytes, which holds the rest of each, sorted. No stored short
key has length `LIMIT`, and a short key sorts before or after all keys of a bucket alike, so the order of the
table is the order of the keys:

    "a"            -> 5.0
    "b" * LIMIT    -> [("", 6.0), ("x", 9.0)]         the keys "b" * LIMIT and "b" * LIMIT + "x"
    "b" * 9 + "c"  -> 7.0
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from operator import itemgetter

from kvstore.mvcc.backend import Table

LIMIT = 480

_LENGTH = struct.Struct("<I")
Bucket = list[tuple[bytes, bytes]]


class KeyIndex:
    """key -> 12 bytes of revision."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: bytes) -> bytes | None:
        if len(key) < LIMIT:
            return self._table.get(key)
        bucket = self._bucket(key)
        at = bisect.bisect_left(bucket, (key[LIMIT:], b""))
        return bucket[at][1] if _is_at(bucket, at, key[LIMIT:]) else None

    def put(self, key: bytes, revision: bytes) -> None:
        if len(key) < LIMIT:
            self._table.put(key, revision)
            return
        bucket = self._bucket(key)
        at = bisect.bisect_left(bucket, (key[LIMIT:], b""))
        bucket[at : at + _is_at(bucket, at, key[LIMIT:])] = [(key[LIMIT:], revision)]
        self._table.put(key[:LIMIT], _pack(bucket))

    def delete(self, key: bytes) -> None:
        if len(key) < LIMIT:
            self._table.delete(key)
            return
        bucket = [item for item in self._bucket(key) if item[0] != key[LIMIT:]]
        if bucket:
            self._table.put(key[:LIMIT], _pack(bucket))
        else:
            self._table.delete(key[:LIMIT])

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(key, revision) of [start, end) in key order; `end` b"" is no bound."""
        bound = end if len(end) < LIMIT else end[:LIMIT] + b"\0"
        for item in self._table.scan(start[:LIMIT], bound):
            if len(item[0]) < LIMIT:
                yield item
                continue
            for suffix, revision in _unpack(item[1]):
                key = item[0] + suffix
                if key >= start and (not end or key < end):
                    yield key, revision

    def items(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """All of `scan` at once."""
        if len(start) >= LIMIT or len(end) >= LIMIT:
            return list(self.scan(start, end))
        items = self._table.items(start, end)
        if max(map(len, map(itemgetter(0), items)), default=0) < LIMIT:
            return items
        return list(self.scan(start, end))

    def _bucket(self, key: bytes) -> Bucket:
        return _unpack(self._table.get(key[:LIMIT]) or b"")


def _is_at(bucket: Bucket, at: int, suffix: bytes) -> bool:
    return at < len(bucket) and bucket[at][0] == suffix


def _pack(bucket: Bucket) -> bytes:
    return b"".join(_LENGTH.pack(len(suffix)) + suffix + revision for suffix, revision in bucket)


def _unpack(data: bytes) -> Bucket:
    bucket = []
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, at)[0]
        bucket.append((data[start:end], data[end : end + 12]))
        at = end + 12
    return bucket
