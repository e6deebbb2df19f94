"""Fills a member's database from an etcd snapshot file, ours or any etcd's: `kvstore.bolt.export` backwards.

Every record is found in the order of revisions, so the record before it of the same key, which etcd does not
store, is known when it comes. Keys and their latest revisions are kept in memory meanwhile, nothing else.
What is not taken over: members, alarms and the position in the log, which belong to the old cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
from google.protobuf.message import DecodeError

from kvstore.backend import TABLES, LmdbBackend, StoredState, translated
from kvstore.bolt import users
from kvstore.bolt.later import Later, Summary
from kvstore.bolt.proto import read_integers
from kvstore.bolt.reader import BoltFile, Bucket
from kvstore.lease import Lessor
from kvstore.mvcc import record
from kvstore.rpc.proto.kv_pb2 import KeyValue

_BATCH = 100_000
"""Records a transaction: what a transaction has changed is held in memory."""
WORTH_TWO = 4096
"""Leaf pages; fewer are read before a second process has begun."""
_OWN_SHARE = 0.35
"""Of the pages. What the second process has read is linked and written here, too."""
_MAP = 1 << 40
_LEASE_TTL = 2
"""Field of `leasepb.Lease`."""
_SEPARATOR = b"_\0\0\0\0"
"""Between main and sub revision, with the upper half of the latter, which no transaction ever fills."""
_KINDS = (b"", b"t")


class Loaded(NamedTuple):
    """What the snapshot holds: `revision` is the store's, `keys` the number of live keys."""

    revision: int
    compact_revision: int
    keys: int


class Records:
    """The key bucket as records of the history table, with what is known after the last of them."""

    def __init__(self, source: BoltFile, items: Iterable[tuple[bytes, bytes]]) -> None:
        self._source, self._items = source, items
        self.live: dict[bytes, bytes] = {}
        self.deleted: dict[bytes, bytes] = {}
        self.leases: dict[bytes, int] = {}
        self.revision = 1
        self.keys = 0
        self.first = self.last = b""

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """(revision, record) in ascending order."""
        live, deleted, leases = self.live, self.deleted, self.leases
        head, parse, none = record.HEAD.pack, KeyValue.FromString, record.NONE
        at = name = b""
        for name, value in self._items:
            if not self.first:
                self.first = name
            if name[8:13] != _SEPARATOR or name[17:] not in _KINDS:
                self._source.refuse(f"{name.hex()} is no revision")
            at = name[:8] + name[13:17]
            if not value:
                continue  # no change, only the number of a revision (kvstore.bolt.export.key_cells)
            try:
                kv = parse(value)
            except DecodeError:
                self._source.refuse(f"the record of revision {name.hex()} cannot be read")
            key = kv.key
            previous = live.get(key)
            if previous is None:
                previous = deleted.pop(key, none) if deleted else none
            if len(name) == 18:
                live.pop(key, None)
                leases.pop(key, None)
                deleted[key] = at
                yield at, head(0, 0, 0, previous, len(key)) + key
                continue
            live[key] = at
            lease = kv.lease
            if lease:
                leases[key] = lease
            elif leases:
                leases.pop(key, None)
            yield at, head(kv.create_revision, kv.version, lease, previous, len(key)) + key + kv.value
        self.revision = max(1, int.from_bytes(at[:8], "big"))
        self.keys, self.last = len(live), name

    def summary(self) -> Summary:
        """Of all that was read."""
        return Summary(self.revision, self.keys, list(self.leases.items()), self.first)

    def linked(self, later: Later) -> Iterator[tuple[bytes, bytes]]:
        """The records of the process that reads on where this ended, which does not know what came before."""
        live, deleted, none = self.live, self.deleted, record.NONE
        known = 0
        for at, data in later:
            if record.previous_of(data) == none:
                key = record.key_of(data)
                previous = live.get(key)
                if previous is not None:
                    known += 1
                    self.leases.pop(key, None)
                else:
                    previous = deleted.get(key)
                if previous is not None:
                    data = record.with_previous(data, previous)
            yield at, data
        self._go_on_from(later.summary, known)

    def _go_on_from(self, later: Summary | None, known: int) -> None:
        """`known` of the keys that were alive here have records there."""
        assert later is not None
        if later.first and later.first <= self.last:
            self._source.refuse("keys are not in order")
        self.revision = max(self.revision, later.revision)
        self.keys += later.live - known
        self.leases |= later.leases


def load(source: BoltFile, directory: Path) -> Loaded:
    """Make the LMDB of a member, at Raft index 0, in an empty directory. Raises `SnapshotCorrupt`."""
    buckets = source.buckets()
    if b"key" not in buckets or b"meta" not in buckets:
        source.refuse("it is a database, but not one of etcd's")
    meta = dict(buckets[b"meta"])
    with translated(directory):
        records = _fill(source, buckets[b"key"], directory)
        backend = LmdbBackend(directory, quota_bytes=0)
        try:
            _attach(backend, records, [_lease(source, *item) for item in buckets.get(b"lease", ())])
            _fill_users(source, backend, buckets)
            compacted = _compacted(meta)
            revision = max(records.revision, compacted)
            backend.commit(StoredState(revision=revision, compact_revision=compacted))
            backend.sync()
        finally:
            backend.close()
    return Loaded(revision, compacted, records.keys)


def _fill(source: BoltFile, bucket: Bucket, directory: Path) -> Records:
    """Write the table of records; with two processes where there is another processor and much to do."""
    pages = source.leaf_pages(bucket)
    if len(pages) < WORTH_TWO or (os.cpu_count() or 1) < 2:
        records = Records(source, source.items_of(bucket, pages) if pages else bucket)
        _write(directory, iter(records))
        return records
    middle = int(len(pages) * _OWN_SHARE)

    def work() -> tuple[Records, Callable[[], Summary]]:
        later = Records(source, source.items_of(bucket, pages[middle:]))
        return later, later.summary

    records = Records(source, source.items_of(bucket, pages[:middle]))
    with Later(directory.parent, work) as later:
        _write(directory, chain(records, records.linked(later)))
    return records


def _write(directory: Path, records: Iterator[tuple[bytes, bytes]]) -> None:
    environment = lmdb.open(str(directory), map_size=_MAP, max_dbs=len(TABLES), sync=False, metasync=False)
    try:
        _append(environment, "history", records)
    finally:
        environment.close()


def _append(environment: Any, name: str, items: Iterator[tuple[bytes, bytes]]) -> None:
    """What a batch has written goes to disk beside the next one, so that little is left to wait for in the end."""
    table = environment.open_db(name.encode())
    left = True
    with ThreadPoolExecutor(1, "restore") as pool:
        while left:
            with environment.begin(write=True) as transaction, transaction.cursor(table) as cursor:
                consumed, _ = cursor.putmulti(islice(items, _BATCH), append=True)
                left = consumed == _BATCH
            synced = pool.submit(environment.sync, True)
    synced.result()


def _attach(backend: LmdbBackend, records: Records, leases: list[tuple[int, int]]) -> None:
    lessor = Lessor(backend, 0.0, 0)
    for lease, ttl in leases:
        lessor.grant(lease, ttl, 0, 0.0)
    for key, lease in records.leases.items():
        if lease in lessor:
            lessor.move(key, 0, lease)


def _fill_users(source: BoltFile, backend: LmdbBackend, buckets: dict[bytes, Bucket]) -> None:
    try:
        users.fill(backend.auth, buckets)
    except ValueError as error:
        source.refuse(f"users and roles cannot be read: {error}")


def _lease(source: BoltFile, key: bytes, value: bytes) -> tuple[int, int]:
    """Id and TTL."""
    try:
        return int.from_bytes(key, "big", signed=True), read_integers(value).get(_LEASE_TTL, 0)
    except ValueError as error:
        source.refuse(f"lease {key.hex()} cannot be read: {error}")


def _compacted(meta: dict[bytes, bytes]) -> int:
    """The revision of the last compaction, begun or done."""
    found = [meta.get(name, b"") for name in (b"scheduledCompactRev", b"finishedCompactRev")]
    return max(int.from_bytes(name[:8], "big") for name in found)
