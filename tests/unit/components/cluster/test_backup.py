"""Backup and restore of a whole cluster: real files, a real store member."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.cluster import backup, preview, state
from components.cluster import contents as store_contents
from components.cluster.config import MasterConfig, load
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.prepare import prepare
from components.cluster.restore import restore, restore_own
from components.cluster.topology import Masters, Topology, Workers
from components.cluster.topology_file import load as load_topology
from kvstore.backup import REVISION_BUMP
from kvstore.config import MemberConfig
from kvstore.member import Member
from kvstore.types import PutRequest, RangeRequest

TOPOLOGY = Topology(name="t", masters=Masters(count=1, api_port=0), workers=Workers(count=1))


def member(layout: Layout) -> Member:
    """The member of m1 as the restored or prepared state has it, but on any port and without TLS."""
    known = state.load(layout)
    assert known is not None
    members = {"m1": ("127.0.0.1", 0)}
    return Member(MemberConfig("m1", layout.masters / "m1", members, cluster_token=known.token))


async def write_and_snapshot(layout: Layout, snapshot: Path) -> int:
    store = member(layout)
    await store.start()
    try:
        await store.wait_leader(20)
        for n in range(10):
            await store.put(PutRequest(b"/k%d" % n, b"v%d" % n))
        await store.snapshot(snapshot)
        await store.put(PutRequest(b"/later", b"x"))
        return store.cluster_id
    finally:
        await store.stop()


async def read(layout: Layout) -> tuple[list[bytes], int, int]:
    """Keys, revision, cluster id."""
    store = member(layout)
    await store.start()
    try:
        await store.wait_leader(20)
        found = await store.range(RangeRequest(b"/", b"0"))
        return [kv.key for kv in found.kvs], store.revision(), store.cluster_id
    finally:
        await store.stop()


@pytest.fixture
def backed_up(tmp_path: Path) -> tuple[Layout, Path, int]:
    """A cluster with ten keys in its backup and one more since; the backup; the cluster's id."""
    layout = Layout.at(tmp_path / "c")
    prepared = prepare(layout, TOPOLOGY)
    snapshot, target = tmp_path / "s", tmp_path / "cluster.backup"
    try:
        cluster_id = asyncio.run(write_and_snapshot(layout, snapshot))
        backup.write(layout, "t", snapshot, target)
    finally:
        prepared.close()
    return layout, target, cluster_id


def contents(path: Path) -> dict[str, bytes]:
    """Without the table in which LMDB keeps its readers."""
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and p.name != "lock.mdb"]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def test_a_restored_cluster_has_the_old_state_and_a_new_identity(backed_up: tuple[Layout, Path, int]) -> None:
    layout, target, cluster_id = backed_up
    ca = (layout.pki / "cluster/ca.crt").read_bytes()
    manifest = restore(target, layout)
    keys, revision, restored_id = asyncio.run(read(layout))
    assert keys == [b"/k%d" % n for n in range(10)]
    assert revision >= manifest.revision + REVISION_BUMP
    assert restored_id != cluster_id
    assert (layout.pki / "cluster/ca.crt").read_bytes() == ca
    assert not list(layout.root.glob(".restore-*"))


def test_restoring_into_an_empty_directory_on_another_port(
    backed_up: tuple[Layout, Path, int], tmp_path: Path
) -> None:
    original, target, _ = backed_up
    layout = Layout.at(tmp_path / "elsewhere")
    restore(target, layout, api_port=0)
    assert load_topology(layout.topology).masters.api_port == 0
    prepared = prepare(layout, None)
    prepared.close()
    assert prepared.addresses.slot == state.load(original).slot  # type: ignore[union-attr]
    assert load(layout.config_file("m1"), MasterConfig).store.cluster_token == state.load(layout).token  # type: ignore[union-attr]
    assert asyncio.run(read(layout))[0][0] == b"/k0"


def test_a_restore_to_an_earlier_revision(backed_up: tuple[Layout, Path, int]) -> None:
    layout, target, _ = backed_up
    restore(target, layout, to_revision=5)
    keys, revision, _ = asyncio.run(read(layout))
    assert keys == [b"/k%d" % n for n in range(4)]
    assert revision > REVISION_BUMP


def test_a_cluster_goes_back_in_its_own_history(backed_up: tuple[Layout, Path, int]) -> None:
    layout, target, _ = backed_up
    last = backup.verify(target).revision
    with contextlib.closing(prepare(layout, None)), pytest.raises(ClusterError, match="already running"):
        restore_own(layout, last)
    before = contents(layout.root)
    with pytest.raises(ClusterError, match="has not reached revision 99"):
        restore_own(layout, 99)
    assert contents(layout.root) == before
    restore_own(layout, last)
    assert asyncio.run(read(layout))[0] == [b"/k%d" % n for n in range(10)]
    with pytest.raises(ClusterError, match=f"no history of revision {last} any more"):
        restore_own(layout, last)


def test_a_stopped_cluster_is_compared_with_its_backup(
    backed_up: tuple[Layout, Path, int], tmp_path: Path
) -> None:
    layout, target, _ = backed_up
    found = preview.preview(target, layout, 0, datetime.now(UTC))
    assert (found.backup_revision, found.cluster_revision, found.changes) == (
        11,
        12,
        [],
    )  # nothing of Kubernetes
    assert preview.as_text(found).endswith("no object would change")
    store_contents.of_stopped(layout, tmp_path / "now")
    now = store_contents.of_snapshot(tmp_path / "now", tmp_path).digests
    assert len(now) == 11
    assert b"/later" in now
    assert preview.as_json(found)["ageSeconds"] < 3600
    with pytest.raises(ClusterError, match="has not reached revision 12"):
        preview.preview(target, layout, 12, datetime.now(UTC))


def test_a_backup_is_private_and_names_what_it_holds(backed_up: tuple[Layout, Path, int]) -> None:
    _, target, _ = backed_up
    assert target.stat().st_mode & 0o777 == 0o600
    assert backup.verify(target).name == "t"
    assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("where", [0.0, 0.01, 0.3, 0.6, 0.9, 0.9999])
def test_one_altered_byte_anywhere_is_refused_and_changes_nothing(
    backed_up: tuple[Layout, Path, int], where: float
) -> None:
    layout, target, _ = backed_up
    content = bytearray(target.read_bytes())
    content[int(where * len(content))] ^= 1
    target.write_bytes(content)
    before = contents(layout.root)
    with pytest.raises(ClusterError, match=r"cluster\.backup: truncated or altered") as raised:
        restore(target, layout)
    assert raised.value.remedy == "use another backup"
    assert contents(layout.root) == before


@pytest.mark.parametrize("size", [0, 10, 5000, -1])
def test_a_truncated_backup_is_refused(backed_up: tuple[Layout, Path, int], size: int) -> None:
    _, target, _ = backed_up
    target.write_bytes(target.read_bytes()[:size])
    with pytest.raises(ClusterError, match="truncated or altered"):
        backup.verify(target)


def test_a_missing_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there is no such file"):
        backup.verify(tmp_path / "none")


def test_a_running_cluster_is_not_replaced(backed_up: tuple[Layout, Path, int]) -> None:
    layout, target, _ = backed_up
    prepared = prepare(layout, None)
    try:
        with pytest.raises(ClusterError, match="already running") as raised:
            restore(target, layout)
        assert "kuberaft down" in raised.value.remedy
    finally:
        prepared.close()


def test_a_restore_that_fails_half_way_is_taken_back(
    backed_up: tuple[Layout, Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, target, _ = backed_up
    before = contents(layout.root)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save", full)
    with pytest.raises(ClusterError, match="No space left on device") as raised:
        restore(target, layout)
    assert "free some space" in raised.value.remedy
    assert contents(layout.root) == before


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/tmp/outside", tarfile.REGTYPE),
        ("pki/../../outside", tarfile.REGTYPE),
        ("pki/link", tarfile.SYMTYPE),
        ("pki/device", tarfile.CHRTYPE),
    ],
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    file = tmp_path / "forged.backup"
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    content = file.read_bytes()
    file.write_bytes(content + backup._TRAILER + hashlib.sha256(content).hexdigest().encode() + b"\n")
    with pytest.raises(ClusterError, match="which no backup has"):
        backup.verify(file)
    assert [path.name for path in tmp_path.iterdir()] == ["forged.backup"]
