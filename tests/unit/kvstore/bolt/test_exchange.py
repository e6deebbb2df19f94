"""From a member's database into an etcd file and back: the same store, whatever was done to it."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstore.auth.store import ROOT_PERMISSION, AuthStore, State
from kvstore.auth.types import Permission, PermissionType, Role, User
from kvstore.backend import LmdbBackend, StoredState
from kvstore.bolt import load as load_module
from kvstore.bolt import worker
from kvstore.bolt.export import Share, write
from kvstore.bolt.load import Loaded, load
from kvstore.bolt.reader import BoltFile
from kvstore.bolt.records import leaves
from kvstore.bolt.restore import Options, restore
from kvstore.bolt.status import status
from kvstore.bolt.stream import stream
from kvstore.bolt.writer import Child, PageWriter
from kvstore.errors import ClusterIDMismatch, DataDirUnusable, SnapshotCorrupt
from kvstore.lease import Lessor
from kvstore.mvcc import record
from kvstore.mvcc.compaction import Compactor
from kvstore.mvcc.store import Mvcc
from kvstore.types import MemberInfo, RangeRequest
from tests.support.tools import require_tool

MEMBERS = (
    MemberInfo(0xA1, "m1", ("http://127.0.0.1:2380",), ("http://127.0.0.1:2379",)),
    MemberInfo(0xB2, "m2", ("http://127.0.0.1:2382",), is_learner=True),
)
LONG = b"k" * 700

Change = Callable[[Mvcc, Lessor], None]


def make(directory: Path, change: Change, *, compact: int = 0) -> list[object]:
    """A stopped member's database; all that can be read of it, at every revision."""
    backend = LmdbBackend(directory, 0)
    mvcc, lessor = Mvcc(backend), Lessor(backend, 0.0)
    change(mvcc, lessor)
    mvcc.compact_revision = compact
    if compact:
        Compactor(backend, mvcc.deleted).step(compact, 1_000_000)
    backend.commit(StoredState(40, 3, mvcc.revision, compact, compact))
    found = everything(mvcc)
    backend.close()
    return found


def everything(mvcc: Mvcc) -> list[object]:
    first = max(1, mvcc.compact_revision)
    ranges = [mvcc.range(RangeRequest(b"\0", b"\0", revision=r)).kvs for r in range(first, mvcc.revision + 1)]
    return [
        mvcc.revision,
        mvcc.compact_revision,
        *ranges,
        list(mvcc.changes(first, mvcc.revision + 1, prev_kv=True)),
    ]


def export(directory: Path, path: Path) -> None:
    with worker.reading(directory) as source, open(path, "wb") as file:
        write(file, source, MEMBERS)
    data = path.read_bytes()
    path.write_bytes(data + hashlib.sha256(data).digest())


@contextmanager
def two_processes() -> Iterator[None]:
    """However small the file and the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_module, "WORTH_TWO", 1)
        patch.setattr("os.cpu_count", lambda: 2)
        yield


def loaded(path: Path, directory: Path) -> tuple[Loaded, list[object]]:
    """What one process makes of the file; two must make the same of it."""
    found = loaded_by_one(path, directory)
    with two_processes():
        assert loaded_by_one(path, directory.with_name(directory.name + "-by-two")) == found
    return found


def loaded_by_one(path: Path, directory: Path) -> tuple[Loaded, list[object]]:
    directory.mkdir()
    with BoltFile(path) as source:
        told = load(source, directory)
    backend = LmdbBackend(directory, 0)
    try:
        state = backend.state
        assert (state.index, state.term, state.alarms) == (0, 0, ())
        return told, everything(Mvcc(backend, state.revision, state.compact_revision))
    finally:
        backend.close()


def some(mvcc: Mvcc, lessor: Lessor) -> None:
    """Values of all sizes, long keys, deletions, several changes in one revision, leases."""
    lessor.grant(7, 100, 1, 0.0)
    lessor.grant(1 << 62, 200, 1, 0.0)
    for key, value, lease in (
        (b"a", b"1", 0),
        (b"b", b"", 7),
        (LONG, b"x" * 100_000, 7),
        (LONG + b"2", b"", 0),
    ):
        old = mvcc.put(key, value, lease)
        lessor.move(key, old.lease if old else 0, lease)
    mvcc.end()
    mvcc.delete_range(b"a", b"b")
    mvcc.end()
    mvcc.put(b"a", b"again", 0)
    mvcc.delete_range(LONG + b"2", b"")
    mvcc.end()
    mvcc.put(b"a", b"and again", 0)
    mvcc.end()


def many(mvcc: Mvcc, lessor: Lessor) -> None:
    for number in range(2000):
        mvcc.put(b"k%d" % (number % 700), b"v" * (number % 300), 0)
        if number % 50 == 0:
            mvcc.end()
    mvcc.end()
    mvcc.delete_range(b"k1", b"k2")
    mvcc.end()


@pytest.mark.parametrize("change", [some, many, lambda mvcc, lessor: None])
def test_a_store_comes_back_as_it_was(tmp_path: Path, change: Change) -> None:
    before = make(tmp_path / "old", change)
    export(tmp_path / "old", tmp_path / "file")
    told, after = loaded(tmp_path / "file", tmp_path / "new")
    assert after == before
    assert told.revision == before[0]


@pytest.mark.parametrize("compact", [2, 3, 4, 5])
def test_a_compacted_store_comes_back_as_it_was(tmp_path: Path, compact: int) -> None:
    before = make(tmp_path / "old", some, compact=compact)
    export(tmp_path / "old", tmp_path / "file")
    assert loaded(tmp_path / "file", tmp_path / "new")[1] == before


def test_leases_keep_their_keys(tmp_path: Path) -> None:
    make(tmp_path / "old", some)
    export(tmp_path / "old", tmp_path / "file")
    loaded(tmp_path / "file", tmp_path / "new")
    for name in ("new", "new-by-two"):
        backend = LmdbBackend(tmp_path / name, 0)
        lessor = Lessor(backend, 0.0)
        assert {id_: lessor.get(id_).ttl for id_ in lessor.ids()} == {7: 100, 1 << 62: 200}  # type: ignore[union-attr]
        assert lessor.keys(7) == [b"b", LONG]
        assert lessor.keys(1 << 62) == []
        backend.close()


def test_leases_of_keys_that_both_processes_see(tmp_path: Path) -> None:
    """Attached early and kept, changed or taken away late."""

    def change(mvcc: Mvcc, lessor: Lessor) -> None:
        lessor.grant(7, 100, 1, 0.0)
        lessor.grant(8, 100, 1, 0.0)
        for round_, held in enumerate([(7, 7, 7, 7), (0, 8, 7, None)]):
            for number in range(40):
                mvcc.put(b"between%d-%d" % (round_, number), bytes(900), 0)
                mvcc.end()
            for key, lease in zip((b"a", b"b", b"c", b"d"), held, strict=True):
                if lease is None:
                    mvcc.delete_range(key, b"")
                else:
                    mvcc.put(key, b"", lease)
                mvcc.end()

    make(tmp_path / "old", change)
    export(tmp_path / "old", tmp_path / "file")
    loaded(tmp_path / "file", tmp_path / "new")
    for name in ("new", "new-by-two"):
        backend = LmdbBackend(tmp_path / name, 0)
        lessor = Lessor(backend, 0.0)
        assert {id_: list(lessor.keys(id_)) for id_ in (7, 8)} == {7: [b"c"], 8: [b"b"]}
        backend.close()


def test_damage_that_the_second_process_finds_is_told(tmp_path: Path) -> None:
    make(tmp_path / "old", many)
    export(tmp_path / "old", tmp_path / "file")
    with BoltFile(tmp_path / "file") as source:
        last = source.leaf_pages(source.buckets()[b"key"])[-1]
    data = bytearray((tmp_path / "file").read_bytes())
    data[last * 4096 + 28 : last * 4096 + 32] = b"\xff" * 4  # the size of the first value
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "new").mkdir()
    refusal = pytest.raises(SnapshotCorrupt, match="an element lies outside of its page")
    with two_processes(), BoltFile(tmp_path / "file") as source, refusal:
        load(source, tmp_path / "new")


def test_users_and_roles_keep_their_rights(tmp_path: Path) -> None:
    users = [User("root", b"$2b$hash", ("root",)), User("anna", b"", ("r", "w"), no_password=True)]
    rights = (Permission(PermissionType.READ, b"/a", b"/b"), Permission(PermissionType.READWRITE, b"/c", b""))
    roles = [Role("root", (ROOT_PERMISSION,)), Role("r", rights), Role("w")]
    make(tmp_path / "old", some)
    backend = LmdbBackend(tmp_path / "old", 0)
    AuthStore(backend.auth).fill(State(True, 17), users, roles)
    backend.commit(backend.state)
    backend.close()
    export(tmp_path / "old", tmp_path / "file")
    loaded(tmp_path / "file", tmp_path / "new")
    backend = LmdbBackend(tmp_path / "new", 0)
    store = AuthStore(backend.auth)
    assert (store.enabled, store.revision) == (True, 17)
    found_users, found_roles = store.contents()
    assert {user.name: user for user in found_users} == {user.name: user for user in users}
    assert {role.name: role for role in found_roles} == {role.name: role for role in roles}
    backend.close()


def test_a_revision_without_a_record_is_kept(tmp_path: Path) -> None:
    """As after a restore, which raises the revision and compacts everything."""
    make(tmp_path / "old", some)
    backend = LmdbBackend(tmp_path / "old", 0)
    backend.commit(StoredState(1, 1, 1000, 1000, 1000))
    backend.close()
    export(tmp_path / "old", tmp_path / "file")
    assert status(tmp_path / "file").revision == 1000
    assert loaded(tmp_path / "file", tmp_path / "new")[0][:2] == (1000, 1000)


operations = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "end"]),
        st.sampled_from([b"a", b"ab", b"b", LONG]),
        st.binary(max_size=9),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
def test_any_history_comes_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bytes, bytes]]
) -> None:
    def change(mvcc: Mvcc, lessor: Lessor) -> None:
        for kind, key, value in steps:
            if kind == "put":
                mvcc.put(key, value, 0)
            elif kind == "delete":
                mvcc.delete_range(key, b"")
            mvcc.end()

    directory = tmp_path_factory.mktemp("any")
    before = make(directory / "old", change)
    export(directory / "old", directory / "file")
    assert loaded(directory / "file", directory / "new")[1] == before


@pytest.mark.parametrize("change", [some, many])
def test_two_processes_write_what_one_does(tmp_path: Path, change: Change) -> None:
    """Also records of many pages on either side of the middle."""

    def large(mvcc: Mvcc, lessor: Lessor) -> None:
        change(mvcc, lessor)
        for size in (1_500_000, 10, 4000, 2_500_000, 0, 70_000):
            mvcc.put(b"large", b"x" * size, 0)
            mvcc.end()

    make(tmp_path / "old", large)
    export(tmp_path / "old", tmp_path / "one")
    with open(tmp_path / "two", "wb") as out:
        worker.write_together(tmp_path / "old", out, MEMBERS)
    alone, together = (status(tmp_path / name)[:3] for name in ("one", "two"))
    assert together == alone


def test_a_helper_that_writes_at_once_takes_no_page_of_the_first(tmp_path: Path) -> None:
    make(tmp_path / "old", many)
    export(tmp_path / "old", tmp_path / "one")
    with worker.reading(tmp_path / "old") as source, open(tmp_path / "two", "wb") as out:
        start = record.pack_revision(source.state.revision // 2, 0)

        def begin() -> Callable[[], list[Child]]:
            found = PageWriter(out.fileno()).leaves(
                leaves(source.table("history", start), source.state.revision)
            )
            return lambda: found

        write(out, source, MEMBERS, Share(start, begin))
    alone, together = (status(tmp_path / name)[:3] for name in ("one", "two"))
    assert together == alone


def test_two_processes_find_nothing_to_divide(tmp_path: Path) -> None:
    make(tmp_path / "old", lambda mvcc, lessor: None)
    with open(tmp_path / "two", "wb") as out:
        worker.write_together(tmp_path / "old", out, MEMBERS)
    assert status(tmp_path / "two").revision == 0


def test_the_stream_ends_with_the_checksum_of_a_database(tmp_path: Path) -> None:
    make(tmp_path / "old", many)

    async def collect() -> list[tuple[bytes, int]]:
        return [chunk async for chunk in stream(tmp_path / "old", tmp_path, MEMBERS)]

    chunks = asyncio.run(collect())
    data = b"".join(data for data, _ in chunks)
    assert len(data) % 512 == 32
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    sizes = [len(chunk) for chunk, _ in chunks]
    assert [remaining for _, remaining in chunks] == [sum(sizes[n + 1 :]) for n in range(len(sizes))]
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_stream_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    async def collect() -> None:
        async for _ in stream(tmp_path / "none", tmp_path, ()):
            pass

    with pytest.raises(DataDirUnusable, match="none: no snapshot could be written"):
        asyncio.run(collect())
    assert list(tmp_path.iterdir()) == []


def test_etcdctl_finds_no_fault_and_the_same_figures(tmp_path: Path) -> None:
    etcdctl = require_tool("etcdctl")
    make(tmp_path / "old", many)
    export(tmp_path / "old", tmp_path / "file")
    command = [etcdctl, "snapshot", "status", str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={"ETCDCTL_API": "3"})
    assert done.returncode == 0, done.stderr
    found = status(tmp_path / "file")
    assert done.stdout.split(", ")[:3] == [f"{found.hash:x}", str(found.revision), str(found.keys)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    make(tmp_path / "old", some)
    export(tmp_path / "old", tmp_path / "file")
    return tmp_path / "file"


def test_restore_raises_the_revision_and_binds_to_the_snapshot(tmp_path: Path, snapshot: Path) -> None:
    done = restore(snapshot, tmp_path / "new", {"m1"}, Options(bump_revision=500))
    assert done.revision == done.content.revision + 500
    assert sorted(path.name for path in (tmp_path / "new" / "member").iterdir()) == ["db", "restored-from"]
    backend = LmdbBackend(tmp_path / "new" / "member" / "db", 0)
    assert (backend.state.revision, backend.state.compact_revision) == (done.revision, done.revision)
    backend.close()


def test_restore_changes_nothing_when_it_refuses(tmp_path: Path, snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    for damaged in (whole[:-4096], whole[:-32], whole[:9000] + b"?" + whole[9001:]):
        snapshot.write_bytes(damaged)
        with pytest.raises(SnapshotCorrupt, match="use a"):
            restore(snapshot, tmp_path / "new", {"m1"})
        assert not any((tmp_path / "new").iterdir())
    snapshot.write_bytes(whole)
    (tmp_path / "new" / "mine").touch()
    with pytest.raises(DataDirUnusable, match="not empty"):
        restore(snapshot, tmp_path / "new", {"m1"})


def test_a_file_without_its_checksum_is_taken_when_told(tmp_path: Path, snapshot: Path) -> None:
    snapshot.write_bytes(snapshot.read_bytes()[:-32])
    done = restore(snapshot, tmp_path / "new", {"m1"}, Options(skip_hash_check=True))
    assert done.content.keys == 3


def test_a_snapshot_of_another_cluster_is_taken_when_told(tmp_path: Path, snapshot: Path) -> None:
    with pytest.raises(ClusterIDMismatch, match=r"members m1, m2; .*\(x, y\).*--other-cluster"):
        restore(snapshot, tmp_path / "new", {"x", "y"})
    restore(snapshot, tmp_path / "new", {"x", "y"}, Options(other_cluster=True))


def test_members_restored_from_different_snapshots_have_different_ids(tmp_path: Path, snapshot: Path) -> None:
    from kvstore.backup import bound_token

    restore(snapshot, tmp_path / "one", {"m1"})
    restore(snapshot, tmp_path / "two", {"m1"})
    restore(snapshot, tmp_path / "otherwise", {"m1"}, Options(bump_revision=1))
    restore(snapshot, tmp_path / "free", {"m1"}, Options(mixed=True))
    make(tmp_path / "other", many)
    export(tmp_path / "other", snapshot)
    restore(snapshot, tmp_path / "three", {"m1"})
    tokens = {
        name: bound_token(tmp_path / name, "t") for name in ("one", "two", "otherwise", "free", "three")
    }
    assert tokens["one"] == tokens["two"]
    assert tokens["free"] == "t"
    assert len(set(tokens.values())) == 4
