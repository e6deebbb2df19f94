"""Multi-version storage: puts and deletions become revisions, reads see the store as of any of them.

Fed by `kvstore.txn` (one write transaction at a time, in Raft order) and by reads; keeps the keys in memory
(`kvstore.mvcc.keyindex`), made from history at the start, and a few counters, which `kvstore.statemachine`
stores beside the data. Pure over a `Backend`. Left out:
what a request may ask (`kvstore.txn`), leases (`kvstore.lease`), reclaiming space
(`kvstore.mvcc.compaction`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from kvstore.errors import Compacted, FutureRevision
from kvstore.mvcc import record
from kvstore.mvcc.backend import Backend, Table
from kvstore.mvcc.keyindex import KeyIndex
from kvstore.mvcc.ranges import bounds, finish, needs_all
from kvstore.types import Event, EventType, KeyValue, RangeRequest, RangeResponse, ResponseHeader


class Keys(NamedTuple):
    """The latest revision of each key that exists, and that existed and is not forgotten; of the last record."""

    live: KeyIndex
    deleted: KeyIndex
    last_recorded: int


class Mvcc:
    """The data of one member.

    `live` and `deleted` hold the latest revision of each key that exists, and that existed and is not forgotten.
    Invariants: `compact_revision <= revision`; between `end()` and the next change no record is above
    `revision`; every key is in `live` or in `deleted` or in neither, never in both.
    """

    def __init__(
        self, backend: Backend, revision: int = 1, compact_revision: int = 0, keys: Keys | None = None
    ) -> None:
        """`keys`: of `read_keys`, if they were read before."""
        self.revision = revision
        self.compact_revision = compact_revision
        self._history = backend.history
        self.live, self.deleted, self.last_recorded = keys or read_keys(backend.history)
        self._events: list[Event] = []

    # Writing: any number of put and delete_range, then end().

    def put(self, key: bytes, value: bytes, lease: int) -> KeyValue | None:
        """Set a key; what it was before, None if it did not exist."""
        main = self.revision + 1
        previous = self.live.get(key)
        if previous is None:
            old = None
            kv = KeyValue(key, value, main, main, 1, lease)
            previous = self._revive(key)
        else:
            old = self._value(previous)
            kv = KeyValue(key, value, old.create_revision, main, old.version + 1, lease)
        revision = record.pack_revision(main, len(self._events))
        self._history.append(revision, record.encode(kv, previous))
        self.live.put(key, revision)
        self._events.append(Event(EventType.PUT, kv, old))
        return old

    def delete_range(self, key: bytes, range_end: bytes) -> list[KeyValue]:
        """Delete the keys of a range; what they were, in key order."""
        found = self._find(key, range_end)
        return [self._delete(key, previous) for key, previous in found]

    def end(self) -> list[Event]:
        """Close the write transaction: its events, in the order they were made, at one main revision."""
        events, self._events = self._events, []
        if events:
            self.revision += 1
        return events

    def _delete(self, key: bytes, previous: bytes) -> KeyValue:
        old = self._value(previous)
        kv = KeyValue(key, mod_revision=self.revision + 1)
        revision = record.pack_revision(self.revision + 1, len(self._events))
        self._history.append(revision, record.encode(kv, previous))
        self.live.delete(key)
        self.deleted.put(key, revision)
        self._events.append(Event(EventType.DELETE, kv, old))
        return old

    def _revive(self, key: bytes) -> bytes:
        tombstone = self.deleted.get(key)
        if tombstone is None:
            return record.NONE
        self.deleted.delete(key)
        return tombstone

    # Reading.

    @property
    def seen_revision(self) -> int:
        """The revision that a read sees: within a write transaction that has changed something, its own."""
        return self.revision + 1 if self._events else self.revision

    def get(self, key: bytes) -> KeyValue | None:
        """The latest value of one key."""
        revision = self.live.get(key)
        return None if revision is None else self._value(revision)

    def latest(self, key: bytes, range_end: bytes) -> list[KeyValue]:
        """The latest values of a range."""
        return self._read(self._find(key, range_end))

    def check_revision(self, revision: int) -> None:
        """Raise `FutureRevision` or `Compacted` for a revision that cannot be read; 0 is the latest."""
        if revision > self.seen_revision:
            raise FutureRevision
        if 0 < revision < self.compact_revision:
            raise Compacted(self.compact_revision)

    def range(self, r: RangeRequest) -> RangeResponse:
        """Answer a range; the header has only the revision. Raises `FutureRevision` and `Compacted`."""
        self.check_revision(r.revision)
        if r.revision > 0:
            found = self._find_at(r)
            return self._cut(r, found, len(found))
        if r.count_only:
            return self._cut(r, [], self._count(r))
        limit = 0 if needs_all(r) else max(0, r.limit)
        found = self._find(r.key, r.range_end, limit)
        return self._cut(r, found, self._count(r) if limit else len(found))

    def _cut(self, r: RangeRequest, found: list[tuple[bytes, bytes]], count: int) -> RangeResponse:
        """The answer from what was found, which may already be less than the `count` in the range."""
        header = ResponseHeader(revision=self.seen_revision)
        if r.count_only:
            return RangeResponse(header, count=count)
        wanted = found if needs_all(r) or r.limit <= 0 else found[: r.limit]
        kvs, more = finish(r, self._read(wanted))
        return RangeResponse(header, tuple(kvs), more or len(wanted) < count, count)

    def _count(self, r: RangeRequest) -> int:
        if not r.range_end:
            return int(self.live.get(r.key) is not None)
        return self.live.count(*bounds(r.key, r.range_end))

    def _find(self, key: bytes, range_end: bytes, limit: int = 0) -> list[tuple[bytes, bytes]]:
        if not range_end:
            revision = self.live.get(key)
            return [] if revision is None else [(key, revision)]
        return self.live.items(*bounds(key, range_end), limit)

    def _find_at(self, r: RangeRequest) -> list[tuple[bytes, bytes]]:
        found = []
        for key, latest in self._known(r.key, r.range_end):
            revision = self._at(latest, r.revision)
            if revision is not None:
                found.append((key, revision))
        found.sort()
        return found

    def _known(self, key: bytes, range_end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key of the range that exists or existed, with its latest revision."""
        if range_end:
            start, end = bounds(key, range_end)
            yield from itertools.chain(self.live.items(start, end), self.deleted.items(start, end))
            return
        latest = self.live.get(key) or self.deleted.get(key)
        if latest is not None:
            yield key, latest

    def _at(self, latest: bytes, main: int) -> bytes | None:
        """Follow the chain from `latest` to the key's record as of `main`; None if it did not exist then."""
        bound = record.pack_revision(main + 1, 0)
        revision = latest
        while revision >= bound:
            data = self._history.get(revision)
            if data is None:
                return None  # a tombstone that compaction has removed
            revision = record.previous_of(data)
        data = self._history.get(revision)
        return None if data is None or record.is_tombstone(data) else revision

    def _read(self, found: list[tuple[bytes, bytes]]) -> list[KeyValue]:
        records = self._history.get_many([revision for _, revision in found])
        return [record.value_of(item[1], data) for item, data in zip(found, records, strict=True)]

    def _value(self, revision: bytes) -> KeyValue:
        data = self._history.get(revision)
        if data is None:
            raise LookupError(
                f"the key index names revision {record.unpack_revision(revision)}, history lacks it"
            )
        return record.value_of(revision, data)

    def changes(self, start: int, end: int, *, prev_kv: bool) -> Iterator[Event]:
        """Events of the revisions [start, end) in order, from history; `start` must not be compacted."""
        low, high = record.pack_revision(start, 0), record.pack_revision(end, 0)
        for revision, data in self._history.scan(low, high):
            kv, previous = record.decode(revision, data)
            kind = EventType.PUT if kv.version else EventType.DELETE
            wanted = prev_kv and kv.mod_revision > self.compact_revision
            yield Event(kind, kv, self._previous_kv(previous) if wanted else None)

    def _previous_kv(self, previous: bytes) -> KeyValue | None:
        data = None if previous == record.NONE else self._history.get(previous)
        if data is None or record.is_tombstone(data):
            return None
        return record.decode(previous, data).kv


def read_keys(history: Table) -> Keys:
    """What `Mvcc` keeps in memory, from all records in order."""
    live: dict[bytes, bytes] = {}
    deleted: dict[bytes, bytes] = {}
    head, parse = record.HEAD_SIZE, record.VERSION_AND_LENGTH
    revision = record.NONE
    for revision, data in history.scan(b"", b""):
        version, length = parse(data)
        key = data[head : head + length]
        if not version:
            live.pop(key, None)
            deleted[key] = revision
            continue
        live[key] = revision
        if deleted:
            deleted.pop(key, None)
    return Keys(KeyIndex(live), KeyIndex(deleted), record.main_of(revision))
