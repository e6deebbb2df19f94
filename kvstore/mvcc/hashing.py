"""One number for all that can be read of the store, to compare members with each other.

Independent of how far this member has reclaimed compacted space: what a reader cannot see is left out
whether it is still there or not. Runs in a thread, on a view that stands still (`kvstore.backend.View`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from kvstore.mvcc import record

_BATCH = 1000
"""Records hashed in one go, which for so many bytes happens beside all other threads."""

Item = tuple[bytes, bytes]
Scan = Callable[[bytes, bytes], Iterable[Item]]


def hash_kv(scan: Scan, revision: int, compact_revision: int, reclaimed: int) -> int:
    """32 bits over every record up to `revision` that is visible at `compact_revision` or later.

    `scan` reads history; `reclaimed` is how far compaction has come on this member.
    """
    hidden = _hidden(scan, compact_revision, reclaimed) if reclaimed < compact_revision else frozenset()
    digest = hashlib.blake2b(digest_size=4)
    parts: list[bytes] = []
    for at, data in scan(b"", record.pack_revision(revision + 1, 0)):
        if at in hidden:
            continue
        # All of the record but `previous`, which adds nothing to what the other records say, and which
        # depends on whether a tombstone was reclaimed before its key came back.
        parts += (at, len(data).to_bytes(4, "big"), data[:24], data[36:])
        if len(parts) >= 4 * _BATCH:
            digest.update(b"".join(parts))
            parts.clear()
    digest.update(b"".join(parts))
    return int.from_bytes(digest.digest(), "big")


def _hidden(scan: Scan, compact_revision: int, reclaimed: int) -> frozenset[bytes]:
    """The records that compaction has still to remove; as `kvstore.mvcc.compaction` finds them."""
    compacted = record.pack_revision(compact_revision, 0)
    hidden = set()
    for at, data in scan(record.pack_revision(reclaimed, 0), record.pack_revision(compact_revision + 1, 0)):
        hidden.add(record.previous_of(data))
        if at < compacted and record.is_tombstone(data):
            hidden.add(at)
    return frozenset(hidden)
