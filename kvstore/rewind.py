"""Brings the database of a stopped member back to what it held at an earlier revision that it still knows.

Nothing is taken out of history: what differs is written once more, as the next revision, so the database stays whole
wherever this is cut off, and a later revision can still be gone to. Used by restores to a point in time, before
`kvstore.backup.begin_anew`. Keys whose lease is over stay away: they would have gone by now anyway.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec

from kvstore.backend import LmdbBackend
from kvstore.lease import Lessor
from kvstore.mvcc.store import Mvcc
from kvstore.types import KeyValue, RangeRequest

EVERYTHING = (b"\0", b"\0")


def rewind(directory: Path, revision: int) -> int:
    """How many keys were changed. Raises `Compacted`, `FutureRevision`, and what a database cannot be opened for."""
    with closing(LmdbBackend(directory, quota_bytes=0)) as backend:
        state = backend.state
        mvcc = Mvcc(backend, state.revision, state.compact_revision)
        mvcc.check_revision(revision)
        changed = _write(mvcc, Lessor(backend, time.monotonic()), revision)
        if changed:
            backend.commit(msgspec.structs.replace(state, revision=mvcc.revision))
            backend.sync()
        return changed


def _write(mvcc: Mvcc, leases: Lessor, revision: int) -> int:
    then, now = _keys(mvcc, revision), _keys(mvcc, 0)
    wanted = {key: kv for key, kv in then.items() if not kv.lease or kv.lease in leases}
    changed = 0
    for key, kv in now.items():
        if key not in wanted:
            leases.move(key, kv.lease, 0)
            mvcc.delete_range(key, b"")
            changed += 1
    for key, kv in wanted.items():
        old = now.get(key)
        if old is None or (old.value, old.lease) != (kv.value, kv.lease):
            mvcc.put(key, kv.value, kv.lease)
            leases.move(key, old.lease if old is not None else 0, kv.lease)
            changed += 1
    mvcc.end()
    return changed


def _keys(mvcc: Mvcc, revision: int) -> dict[bytes, KeyValue]:
    found = mvcc.range(RangeRequest(*EVERYTHING, revision=revision))
    return {kv.key: kv for kv in found.kvs}
