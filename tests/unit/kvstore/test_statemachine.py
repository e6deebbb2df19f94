"""The applied state over LMDB: values for errors, leases, quota, restart, crash, snapshots, restore."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstore import backup
from kvstore.backend import LmdbBackend
from kvstore.command import Command, Request, encode
from kvstore.errors import (
    ClusterIDMismatch,
    Compacted,
    Corrupt,
    DataCorrupt,
    DataDirLocked,
    DataDirUnusable,
    InvalidCommand,
    LeaseNotFound,
    NoSpace,
    SnapshotCorrupt,
)
from kvstore.statemachine import KVStateMachine
from kvstore.types import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)


class Driver:
    """Feeds commands as the engine does; time stands still unless `now` is moved."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.now = 0.0
        self.machine = KVStateMachine(path, cluster_id=1, member_id=2, clock=lambda: self.now, **options)
        self.index = self.machine.applied()[0]

    def __call__(self, *requests: Request | bytes) -> list[Any]:
        self.index += 1
        commands = [r if isinstance(r, bytes) else encode(Command(r)) for r in requests]
        results = self.machine.apply(self.index, 1, commands)
        self.machine.flush()
        return results

    def get(self, key: bytes) -> bytes | None:
        kvs = self.machine.range(RangeRequest(key)).kvs
        return kvs[0].value if kvs else None

    def settle(self) -> None:
        """Propose what the member asks for, as its leader."""
        for command in self.machine.housekeeping(is_leader=True):
            self(command)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    driver = Driver(tmp_path / "db")
    yield driver
    driver.machine.close()


def test_bad_commands_are_answered_with_error_values(store: Driver) -> None:
    good = PutRequest(b"a", b"1")
    results = store(b"", b"\xff\xff", encode(Command(good))[:-3], PutRequest(b"b", lease=77), good)
    assert [type(r) for r in results[:4]] == [InvalidCommand, InvalidCommand, InvalidCommand, LeaseNotFound]
    assert results[4].header.revision == 2
    assert store.machine.applied() == (1, 1)


def test_a_revision_is_found_in_the_log(store: Driver) -> None:
    put = encode(Command(PutRequest(b"a", b"1")))
    machine = store.machine
    machine.apply(5, 1, [put, put])  # revisions 2 and 3
    machine.apply(6, 1, [])
    machine.apply(7, 2, [put])
    assert [machine.entry_of(revision) for revision in (1, 2, 3, 4, 5)] == [None, None, None, (7, 2), None]
    machine.apply(8, 2, [put])
    assert machine.entry_of(3) is None, "where the first one that is remembered begins is not known"
    assert machine.entry_of(5) == (8, 2)


def test_an_entry_that_was_applied_is_ignored(store: Driver) -> None:
    store(PutRequest(b"a", b"1"))
    assert store.machine.apply(1, 1, [encode(Command(PutRequest(b"a", b"2")))]) == []
    assert store.get(b"a") == b"1"


def test_state_survives_a_clean_restart(tmp_path: Path) -> None:
    first = Driver(tmp_path / "db")
    first(PutRequest(b"a", b"1"), PutRequest(b"a", b"2"), LeaseGrantRequest(60, 5), PutRequest(b"l", lease=5))
    first(CompactionRequest(3))
    before = first.machine.hash_kv()()
    first.machine.close()
    second = Driver(tmp_path / "db")
    assert second.machine.applied() == (2, 1)
    assert second.machine.hash_kv()() == before
    assert second.machine.compact_revision() == 3
    assert second.machine.lease_time_to_live(LeaseTimeToLiveRequest(5, keys=True)).keys == (b"l",)
    second.machine.close()


def test_commits_come_with_time_or_number_and_durability_one_commit_later(store: Driver) -> None:
    store(PutRequest(b"a"))
    assert store.machine.durable_index() == 0
    store.now += 0.2
    store(PutRequest(b"a"))
    assert store.machine.durable_index() == 0, (
        "the page that makes a commit current is synced by the next one"
    )
    store(*[PutRequest(b"a")] * 2000)
    assert store.machine.durable_index() == 2


def test_a_lease_ends_by_the_leaders_proposal_and_takes_its_keys_along(store: Driver) -> None:
    store(LeaseGrantRequest(10, 5), PutRequest(b"a", lease=5), PutRequest(b"b", lease=5), PutRequest(b"c"))
    store.now += 9
    store.settle()
    assert store.get(b"a") == b""
    store.now += 2
    assert store.machine.housekeeping(is_leader=False) == []
    store.settle()
    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (None, None, b"")
    assert store.machine.revision() == 5, "all keys of a lease go in one revision"
    assert store.machine.leases().leases == ()


def test_a_renewal_that_came_first_voids_the_proposal_to_end_a_lease(store: Driver) -> None:
    store(LeaseGrantRequest(10, 5), PutRequest(b"a", lease=5))
    store.now += 11
    proposals = store.machine.housekeeping(is_leader=True)
    store(LeaseKeepAliveRequest(5))
    store(*proposals)
    assert store.get(b"a") == b""


def test_a_new_leader_gives_leases_their_full_time(store: Driver) -> None:
    store(LeaseGrantRequest(10, 5))
    store.now += 11
    store.machine.promote()
    assert store.machine.housekeeping(is_leader=True) == []
    store.now += 11
    assert len(store.machine.housekeeping(is_leader=True)) == 1


def test_a_full_quota_refuses_growth_until_space_is_back(tmp_path: Path) -> None:
    store = Driver(tmp_path / "db", quota_bytes=2 << 20)
    for n in range(40):
        store(PutRequest(b"k%d" % n, bytes(100_000)))
    store.settle()
    assert isinstance(store(PutRequest(b"x"))[0], NoSpace)
    assert isinstance(store(LeaseGrantRequest(10, 9))[0], NoSpace)
    with pytest.raises(NoSpace):
        store.machine.check(PutRequest(b"x"))
    assert store(DeleteRangeRequest(b"k", b"l"))[0].deleted == 40
    store.settle()
    assert isinstance(store(PutRequest(b"x"))[0], NoSpace), "history still needs the space"
    store(CompactionRequest(store.machine.revision()))
    while store.machine.is_compacting():
        store.machine.flush()
    store.settle()
    assert store(PutRequest(b"x"))[0].header.revision
    store.machine.close()


def test_a_database_that_cannot_be_this_members_is_refused_with_the_remedy(tmp_path: Path) -> None:
    store = Driver(tmp_path / "db")
    store(PutRequest(b"a"))
    store.machine.close()
    with pytest.raises(
        DataCorrupt, match=r"cluster 1, this member belongs to 9: put .* back, or delete .* rejoin"
    ):
        KVStateMachine(tmp_path / "db", cluster_id=9, member_id=2)
    backend = LmdbBackend(tmp_path / "db", 0)
    backend.commit(msgspec.structs.replace(backend.state, revision=1))
    backend.close()
    with pytest.raises(DataCorrupt, match=r"up to revision 2, but says that it ends at 1: delete"):
        KVStateMachine(tmp_path / "db", cluster_id=1, member_id=2)
    LmdbBackend(tmp_path / "db", 0).close()  # it was not left locked


NOSPACE = AlarmMember(2, AlarmType.NOSPACE)


def test_no_more_than_a_batch_of_writes_gets_past_the_quota(tmp_path: Path) -> None:
    store = Driver(tmp_path / "db", quota_bytes=2 << 20)
    store(*(PutRequest(b"k%d" % n, bytes(100_000)) for n in range(40)))
    store.machine.commit()
    for request in (PutRequest(b"x"), TxnRequest(failure=(PutRequest(b"x"),)), LeaseGrantRequest(10, 9)):
        with pytest.raises(NoSpace):
            store.machine.check(request)
    store.machine.check(DeleteRangeRequest(b"k"))
    store.machine.check(TxnRequest(success=(DeleteRangeRequest(b"k"),)))
    store.machine.close()


def test_an_alarm_is_ended_by_whoever_raised_it(tmp_path: Path) -> None:
    store = Driver(tmp_path / "db")
    raised = AlarmRequest(AlarmAction.ACTIVATE, 2, AlarmType.NOSPACE)
    assert store(raised, raised)[1].alarms == (NOSPACE,)
    store.settle()
    assert isinstance(store(PutRequest(b"x"))[0], NoSpace)
    assert store.machine.alarms(AlarmType.CORRUPT).alarms == ()
    assert store.machine.alarms(AlarmType.NOSPACE).alarms == store.machine.alarms().alarms == (NOSPACE,)
    store.machine.close()
    store = Driver(tmp_path / "db")
    store.settle()
    assert store.machine.alarms().alarms == (NOSPACE,)
    ended = AlarmRequest(AlarmAction.DEACTIVATE, 2, AlarmType.NOSPACE)
    assert [result.alarms for result in store(ended, ended)] == [(NOSPACE,), ()]
    assert store(AlarmRequest(AlarmAction.ACTIVATE, 2, AlarmType.NONE))[0].alarms == ()
    assert store(PutRequest(b"x"))[0].header.revision
    store.machine.close()


def test_an_alarm_of_its_own_ends_after_a_restart_too(tmp_path: Path) -> None:
    store = Driver(tmp_path / "db", quota_bytes=1)
    store(PutRequest(b"a"))
    store.settle()
    assert store.machine.alarms().alarms == (NOSPACE,)
    store.machine.close()
    store = Driver(tmp_path / "db")
    store.settle()
    assert store.machine.alarms().alarms == ()
    store.machine.close()


def test_with_diverged_members_nothing_is_changed(store: Driver) -> None:
    store(PutRequest(b"a"), LeaseGrantRequest(1, 7), AlarmRequest(AlarmAction.ACTIVATE, 5, AlarmType.CORRUPT))
    refused = (
        PutRequest(b"a"),
        DeleteRangeRequest(b"a"),
        TxnRequest(success=(PutRequest(b"a"),)),
        CompactionRequest(2),
        LeaseGrantRequest(10, 8),
        LeaseRevokeRequest(7),
    )
    assert {type(result) for result in store(*refused)} == {Corrupt}
    with pytest.raises(Corrupt):
        store.machine.check(PutRequest(b"a"))
    store.now += 100
    store.settle()
    assert store.machine.leases().leases == (7,), "not even by time"
    assert store.get(b"a") == b""
    store(AlarmRequest(AlarmAction.DEACTIVATE, 5, AlarmType.CORRUPT))
    assert store(PutRequest(b"a"))[0].header.revision == 3


CHILD = """
import itertools, sys
from pathlib import Path
from kvstore.command import Command, encode
from kvstore.statemachine import KVStateMachine
from kvstore.types import PutRequest
machine = KVStateMachine(Path(sys.argv[1]), cluster_id=1, member_id=2)
for n in itertools.count(machine.applied()[0] + 1):
    machine.apply(n, 1, [encode(Command(PutRequest(b"k%d" % (n % 50), b"%d" % n)))])
    machine.flush()
    if machine.durable_index() and n % 500 == 0:
        print(machine.durable_index(), flush=True)
"""


def test_a_killed_process_leaves_a_prefix_of_what_it_applied(tmp_path: Path) -> None:
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, tmp_path / "db"], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        durable = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        store = Driver(tmp_path / "db")
        applied = store.machine.applied()[0]
        assert applied >= durable
        assert store.machine.revision() == applied + 1
        values = sorted(int(kv.value) for kv in store.machine.range(RangeRequest(b"k", b"l")).kvs)
        assert values == list(range(applied - 49, applied + 1))
        store.machine.close()


def test_a_data_directory_has_one_user(store: Driver, tmp_path: Path) -> None:
    with pytest.raises(DataDirLocked, match=str(tmp_path / "db")):
        KVStateMachine(tmp_path / "db", cluster_id=1, member_id=2)


def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="file"):
        KVStateMachine(tmp_path / "file" / "db", cluster_id=1, member_id=2)


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 8192)
    with pytest.raises(DataCorrupt, match=r"data\.mdb"):
        KVStateMachine(tmp_path, cluster_id=1, member_id=2)


@pytest.fixture
def snapshot(store: Driver, tmp_path: Path) -> Path:
    store(*[PutRequest(b"k%d" % n, b"v") for n in range(100)], LeaseGrantRequest(60, 5))
    store.machine.commit()
    store.machine.write_snapshot(tmp_path / "snapshot")
    return tmp_path / "snapshot"


def test_a_snapshot_says_what_it_holds(store: Driver, snapshot: Path) -> None:
    meta = backup.verify(snapshot)
    assert (meta.cluster_id, meta.index, meta.term, meta.revision) == (1, 1, 1, 101)
    assert meta.size == snapshot.stat().st_size


def test_any_altered_or_missing_byte_is_refused(snapshot: Path, tmp_path: Path) -> None:
    good = snapshot.read_bytes()
    step = len(good) // 40
    broken = [good[:n] for n in range(0, len(good), step)] + [good + b"x"]
    broken += [good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :] for n in range(0, len(good), step)]
    for data in broken:
        (tmp_path / "broken").write_bytes(data)
        with pytest.raises(SnapshotCorrupt, match="broken"):
            backup.verify(tmp_path / "broken")
    with pytest.raises(SnapshotCorrupt):
        backup.restore(tmp_path / "broken", tmp_path / "new")
    assert not list((tmp_path / "new").iterdir()), "nothing is left of a refused restore"


def test_a_restored_store_starts_a_new_history(snapshot: Path, tmp_path: Path) -> None:
    backup.restore(snapshot, tmp_path / "new", bump_revision=1000)
    store = Driver(tmp_path / "new" / "member" / "db")
    assert store.machine.applied() == (0, 0)
    assert (store.machine.revision(), store.machine.compact_revision()) == (1101, 1101)
    assert store.get(b"k7") == b"v"
    with pytest.raises(Compacted):
        store.machine.range(RangeRequest(b"k7", revision=101))
    assert store(PutRequest(b"new"))[0].header.revision == 1102
    assert store.machine.leases().leases == (5,)
    store.machine.close()
    with pytest.raises(DataDirUnusable, match="not empty"):
        backup.restore(snapshot, tmp_path / "new")


def test_a_follower_takes_over_a_snapshot_whole(snapshot: Path, store: Driver, tmp_path: Path) -> None:
    follower = Driver(tmp_path / "follower")
    follower(PutRequest(b"mine"))
    follower.machine.prepare_snapshot(snapshot).install()
    assert follower.machine.applied() == (1, 1)
    assert follower.machine.hash_kv()().hash == store.machine.hash_kv()().hash
    assert follower.get(b"mine") is None
    follower.machine.close()


def test_a_snapshot_of_another_cluster_changes_nothing(snapshot: Path, tmp_path: Path) -> None:
    other = KVStateMachine(tmp_path / "other", cluster_id=9, member_id=2)
    with pytest.raises(ClusterIDMismatch):
        other.prepare_snapshot(snapshot)
    assert other.revision() == 1
    assert not list((tmp_path / "other").glob(".snapshot*"))
    other.close()


def test_a_snapshot_that_is_not_wanted_any_more_leaves_nothing(snapshot: Path, store: Driver) -> None:
    before = store.machine.hash_kv()()
    store.machine.prepare_snapshot(snapshot).discard()
    assert store.machine.hash_kv()() == before
    assert not list((snapshot.parent / "db").glob(".snapshot*"))


def test_compaction_of_much_history_goes_in_slices(store: Driver) -> None:
    for n in range(3):
        store(*[PutRequest(b"k%d" % k, b"%d" % n) for k in range(1000)])
    store(CompactionRequest(store.machine.revision()))
    slices = 0
    while store.machine.is_compacting():
        store.machine.flush()
        slices += 1
    assert slices > 3
