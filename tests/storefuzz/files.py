"""Files that a member reads: a segment of its log, and a snapshot."""

from __future__ import annotations

import random

import cbor2

from kvstore.backend import LmdbBackend, StoredState
from kvstore.bolt import worker
from kvstore.bolt.export import write
from kvstore.bolt.restore import Options, restore
from kvstore.errors import DataCorrupt, SnapshotCorrupt
from kvstore.lease import Lessor
from kvstore.mvcc.store import Mvcc
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import ENTRY
from kvstore.raft.records import HEADER, base_record, entry_record, frame, record, scan, state_record
from kvstore.raft.wal import Wal
from kvstore.types import MemberInfo
from tests.simulation.disk import SimulatedFiles
from tests.storefuzz.support import CLUSTER, CUT, MEMBER, Target, scratch


def wal() -> Target:
    """A segment as it is (first byte 0), or the bodies of its frames. What can be read is read again alike."""

    def segment(content: bytes) -> bytes:
        if content[:1] == b"\0":
            return content[1:]
        return b"".join(frame(body) for body in content.split(CUT))

    def read(files: SimulatedFiles) -> list[tuple[object, ...]]:
        journal = WalJournal(Wal(files, cluster_id=CLUSTER, member_id=MEMBER))
        journal.open((0, 0))
        return [tuple(journal.base), *(tuple(entry) for entry in journal[:])]  # type: ignore[union-attr]

    def feed(content: bytes) -> None:
        files = SimulatedFiles(random.Random(1))
        whole = segment(content)
        files.create(f"{1:016x}.wal", whole)
        scan(whole)
        try:
            found = read(files)
        except DataCorrupt:
            return
        assert read(files) == found

    return feed


def wal_seeds() -> list[bytes]:
    header = record(HEADER, cbor2.dumps([1, CLUSTER, MEMBER, 1])) + state_record(1, 2)
    entries = [entry_record(n, 1, ENTRY + cbor2.dumps([(1, n, b"x")])) for n in (1, 2, 3)]
    bodies = [header, *entries, base_record(3, 1) + state_record(2, 1)]
    return [header, CUT.join(bodies), b"\0" + b"".join(frame(body) for body in bodies)]


def snapshot() -> Target:
    """A snapshot file to be restored: whole, or refused and nothing is left behind."""

    def feed(content: bytes) -> None:
        with scratch() as directory:
            (directory / "db").write_bytes(content)
            try:
                restore(
                    directory / "db",
                    directory / "data",
                    ["m1"],
                    Options(skip_hash_check=True, other_cluster=True),
                )
            except SnapshotCorrupt:
                assert not (directory / "data" / "member").exists()

    return feed


def snapshot_seeds() -> list[bytes]:
    with scratch() as directory:
        backend = LmdbBackend(directory, 0)
        mvcc, lessor = Mvcc(backend), Lessor(backend, 0.0)
        lessor.grant(5, 60, 1, 0.0)
        for n in range(3):
            mvcc.put(b"k%d" % n, b"v", 0)
            mvcc.end()
        backend.commit(StoredState(4, 1, mvcc.revision, 0, 0))
        backend.close()
        path = directory / "snapshot"
        with worker.reading(directory) as source, path.open("wb") as file:
            write(file, source, [MemberInfo(0xA1, "m1", ("http://127.0.0.1:2380",), ())])
        return [path.read_bytes()]
