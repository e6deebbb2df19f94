"""Mvcc against a twin that keeps a full copy of the store for every revision."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.errors import Compacted, FutureRevision
from kvstore.mvcc.compaction import Compactor
from kvstore.mvcc.hashing import hash_kv
from kvstore.mvcc.store import Mvcc
from kvstore.types import EventType, KeyValue, RangeRequest, SortOrder, SortTarget
from tests.unit.kvstore.fakes import MemoryBackend

LONG = b"b" * 600
KEYS = st.sampled_from([b"a", b"b", b"bb", b"c", LONG, LONG + b"x", LONG + b"y", b"d"])
ENDS = st.sampled_from([b"", b"\0", b"b", b"c", LONG + b"x", b"z", b"a"])

PUT = st.tuples(st.just("put"), KEYS, st.binary(max_size=3))
DELETE = st.tuples(st.just("delete"), KEYS, ENDS)
COMPACT = st.tuples(st.just("compact"), st.integers(0, 30), st.integers(1, 5))
TXNS = st.lists(st.one_of(st.lists(st.one_of(PUT, DELETE), min_size=1, max_size=3), COMPACT), max_size=25)


class Twin:
    """`at[r]` is the whole store as of revision r; a change is (revision, key, new or None)."""

    def __init__(self) -> None:
        self.at: dict[int, dict[bytes, KeyValue]] = {0: {}, 1: {}}
        self.revision = 1
        self.compacted = 0
        self.changes: list[tuple[int, bytes, KeyValue | None, KeyValue | None]] = []

    def run(self, operations: list[tuple[str, bytes, bytes]]) -> None:
        main = self.revision + 1
        now = dict(self.at[self.revision])
        changed = False
        for kind, key, argument in operations:
            if kind == "put":
                old = now.get(key)
                create, version = (old.create_revision, old.version + 1) if old else (main, 1)
                now[key] = KeyValue(key, argument, create, main, version)
                self.changes.append((main, key, now[key], old))
                changed = True
            else:
                for found in in_range(now, key, argument):
                    self.changes.append((main, found, None, now.pop(found)))
                    changed = True
        if changed:
            self.revision = main
            self.at[main] = now

    def answer(self, r: RangeRequest) -> tuple[list[KeyValue], int, bool]:
        store = self.at[r.revision or self.revision]
        found = [store[key] for key in in_range(store, r.key, r.range_end)]
        kvs = [kv for kv in found if kv.mod_revision >= r.min_mod_revision]
        kvs = [kv for kv in kvs if not r.max_create_revision or kv.create_revision <= r.max_create_revision]
        if r.sort_target == SortTarget.VALUE or r.sort_order:
            by = (lambda kv: kv.value) if r.sort_target == SortTarget.VALUE else (lambda kv: kv.key)
            kvs = sorted(kvs, key=by, reverse=r.sort_order == SortOrder.DESCEND)
        cut = kvs[: r.limit] if r.limit else kvs
        return cut, len(found), len(cut) < len(kvs)


def in_range(store: dict[bytes, Any], key: bytes, end: bytes) -> list[bytes]:
    if not end:
        return [key] if key in store else []
    return sorted(k for k in store if k >= key and (end == b"\0" or k < end))


def twice_the_same_key(operations: list[tuple[str, bytes, bytes]]) -> bool:
    """What `kvstore.txn` refuses before it reaches the data."""
    puts = [key for kind, key, _ in operations if kind == "put"]
    deleted = [
        key
        for kind, key, end in operations
        if kind == "delete"
        for key in in_range(dict.fromkeys(puts), key, end)
    ]
    return len(set(puts)) < len(puts) or bool(deleted)


def play(txns: list[Any]) -> tuple[Twin, Mvcc, Compactor, MemoryBackend]:
    backend = MemoryBackend()
    twin, mvcc = Twin(), Mvcc(backend)
    compactor = Compactor(backend, mvcc.deleted)
    for txn in txns:
        if isinstance(txn, tuple):
            _, revision, slices = txn
            if twin.compacted < revision <= twin.revision:
                twin.compacted = mvcc.compact_revision = revision
            for _ in range(slices):
                compactor.step(mvcc.compact_revision, 2)
        elif not twice_the_same_key(txn):
            twin.run(txn)
            for kind, key, argument in txn:
                if kind == "put":
                    mvcc.put(key, argument, 0)
                else:
                    mvcc.delete_range(key, argument)
            mvcc.end()
    return twin, mvcc, compactor, backend


RANGES = st.builds(
    RangeRequest,
    key=KEYS,
    range_end=ENDS,
    limit=st.integers(0, 3),
    revision=st.integers(0, 30),
    sort_order=st.sampled_from(SortOrder),
    sort_target=st.sampled_from([SortTarget.KEY, SortTarget.VALUE]),
    min_mod_revision=st.sampled_from([0, 0, 0, 3]),
    max_create_revision=st.sampled_from([0, 0, 0, 5]),
)


@settings(deadline=None, max_examples=300)
@given(TXNS, st.lists(RANGES, min_size=1, max_size=8))
def test_every_readable_revision_reads_as_it_was(txns: list[Any], requests: list[RangeRequest]) -> None:
    twin, mvcc, _, _ = play(txns)
    assert mvcc.revision == twin.revision
    for request in requests:
        if request.revision > twin.revision:
            with pytest.raises(FutureRevision):
                mvcc.range(request)
        elif 0 < request.revision < twin.compacted:
            with pytest.raises(Compacted):
                mvcc.range(request)
        else:
            kvs, count, more = twin.answer(request)
            response = mvcc.range(request)
            assert (list(response.kvs), response.count, response.more) == (kvs, count, more)


@settings(deadline=None, max_examples=200)
@given(TXNS, st.integers(1, 30))
def test_history_replays_every_change_since_a_readable_revision(txns: list[Any], start: int) -> None:
    twin, mvcc, _, _ = play(txns)
    start = max(start, twin.compacted, 1)
    expected = [
        (revision, key, new, old if revision > twin.compacted else None)
        for revision, key, new, old in twin.changes
        if revision >= start
    ]
    got = [
        (e.kv.mod_revision, e.kv.key, e.kv if e.type == EventType.PUT else None, e.prev_kv)
        for e in mvcc.changes(start, mvcc.revision + 1, prev_kv=True)
    ]
    assert got == expected


@settings(deadline=None, max_examples=200)
@given(TXNS)
def test_compaction_leaves_exactly_what_can_be_read(txns: list[Any]) -> None:
    twin, mvcc, compactor, backend = play(txns)
    before = hash_kv(backend.history.scan, mvcc.revision, mvcc.compact_revision, compactor.done)
    while compactor.step(mvcc.compact_revision, 3):
        pass
    assert hash_kv(backend.history.scan, mvcc.revision, mvcc.compact_revision, compactor.done) == before, (
        "a member's progress is invisible"
    )
    readable = {(kv.key, kv.mod_revision) for kv in twin.at[twin.compacted].values()}
    later = {(key, revision) for revision, key, _, _ in twin.changes if revision >= max(twin.compacted, 1)}
    assert len(backend.history.data) == len(readable | later)
    gone = {key for r, key, new, _ in twin.changes if new is None and r >= max(twin.compacted, 1)}
    alive = set(twin.at[twin.revision])
    assert set(mvcc.deleted) == gone - alive
    again = Mvcc(backend)
    for index, was in ((again.live, mvcc.live), (again.deleted, mvcc.deleted)):
        assert index.items(b"", b"") == was.items(b"", b""), "a restart finds the same keys"


def test_the_hash_tells_different_stores_apart() -> None:
    hashes = []
    for value in (b"1", b"2"):
        _, mvcc, _, backend = play([[("put", b"a", value)]])
        hashes.append(hash_kv(backend.history.scan, mvcc.revision, 0, 0))
    assert hashes[0] != hashes[1]
