"""One number for all that can be read of the store, to compare members with each other.

Independent of how far this member has reclaimed compacted space: what a reader cannot see is left out
whether it is still there or not. The sum of the records' hashes is used, so the order of reading does not
matter.
"""

from __future__ import annotations

import hashlib

from kvstore.mvcc import record
from kvstore.mvcc.backend import Backend

_MASK = 0xFFFFFFFF


def hash_kv(backend: Backend, revision: int, compact_revision: int) -> int:
    """32 bits over every record up to `revision` that is visible at `compact_revision` or later."""
    compacted = record.pack_revision(compact_revision, 0)
    after_compacted = record.pack_revision(compact_revision + 1, 0)
    total = 0
    kept: dict[bytes, int] = {}
    for at, data in backend.history.scan(b"", record.pack_revision(revision + 1, 0)):
        if at >= after_compacted:
            total += _hash(at, data)
            continue
        kept.pop(record.previous_of(data), None)
        if at >= compacted or not record.is_tombstone(data):
            kept[at] = _hash(at, data)
    return (total + sum(kept.values())) & _MASK


def _hash(revision: bytes, data: bytes) -> int:
    """All of the record but `previous`, which adds nothing to what the other records say."""
    digest = hashlib.blake2b(revision, digest_size=4)
    digest.update(data[:24])
    digest.update(data[36:])
    return int.from_bytes(digest.digest(), "big")
