"""Reclaims what no reader can see any more, a slice at a time so that it never stalls the event loop.

Compaction at C takes effect at once: reads below C are refused from then on. The records go later, in
revision order from where the last compaction ended up to C, as follows: a record at or below C makes its
`previous` invisible, so that one is removed; a tombstone below C makes itself invisible (a watch from C on
must still see one at C). So a record is visited once in the life of the store, however often it is
compacted:

    5.0 put a, 6.0 put a, 7.0 delete a, 8.0 put b      compact 8:
    5.0 -> nothing before it; 6.0 -> remove 5.0; 7.0 -> remove 6.0, and 7.0 itself with `deleted[a]`

Driven by `kvstore.statemachine`; how far it is belongs to this member, not to the replicated state.
"""

from __future__ import annotations

import itertools

from kvstore.mvcc import record
from kvstore.mvcc.backend import Backend
from kvstore.mvcc.keyindex import KeyIndex


class Compactor:
    """Invariant: below `done` only what is visible at `done` is left. Visiting a record twice is harmless."""

    def __init__(self, backend: Backend, deleted: KeyIndex, done: int = 0) -> None:
        self.done = done
        self._target = done
        self._at = record.pack_revision(done, 0)
        self._history = backend.history
        self._deleted = deleted

    def step(self, compact_revision: int, limit: int) -> bool:
        """Visit up to `limit` records at or below `compact_revision`; whether some are left to visit."""
        if self.done >= compact_revision:
            return False
        self._aim(compact_revision)
        end = record.pack_revision(compact_revision + 1, 0)
        visited = list(itertools.islice(self._history.scan(self._at, end), limit))
        for revision, data in visited:
            self._visit(revision, data, record.pack_revision(compact_revision, 0))
        if len(visited) == limit:
            self._at = visited[-1][0] + b"\0"
            return True
        self.done = compact_revision
        self._at = record.pack_revision(compact_revision, 0)
        return False

    def _aim(self, compact_revision: int) -> None:
        """A tombstone at the last target may have been passed because it could be seen there; now it cannot."""
        if compact_revision != self._target:
            self._at = min(self._at, record.pack_revision(self._target, 0))
            self._target = compact_revision

    def _visit(self, revision: bytes, data: bytes, compacted: bytes) -> None:
        previous = record.previous_of(data)
        if previous != record.NONE:
            self._history.delete(previous)
        if revision < compacted and record.is_tombstone(data):
            self._history.delete(revision)
            key = record.key_of(data)
            if self._deleted.get(key) == revision:
                self._deleted.delete(key)
