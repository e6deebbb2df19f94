"""Snapshots and mirrors between our store and a real etcd, both ways, by our commands and by etcdctl."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kvstore_cluster import KVSTORE, Cluster, free_ports
from tests.support.local_cluster import eventually
from tests.support.tools import require_tool

pytestmark = pytest.mark.e2e

SECONDS = 30.0
BUMP = 100
KeyValues = dict[bytes, tuple[bytes, int, int, int, int]]
"""key -> value, create revision, mod revision, version, lease."""


def etcdctl(cluster: Cluster | None, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    where = ["--endpoints", cluster.endpoints[0]] if cluster else []
    return run([require_tool("etcdctl"), *where, *arguments], check=check)


def kvstore(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run([*KVSTORE, *arguments], check=check)


def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ETCDCTL_API": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members of ours, filled."""
    with Cluster(KVSTORE, tmp_path_factory.mktemp("ours"), flags=("--unsafe-no-fsync",)) as cluster:
        fill(cluster)
        yield cluster


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Cluster]:
    """One real etcd, filled."""
    (tmp_path / "etcd").mkdir()
    with Cluster((require_tool("etcd"),), tmp_path / "etcd", size=1) as cluster:
        fill(cluster)
        yield cluster


def fill(cluster: Cluster) -> None:
    """Several versions, a deletion, a lease, large and empty values, a compaction, a user."""
    lease = etcdctl(cluster, "lease", "grant", "3600").stdout.split()[1]
    for number in range(20):
        etcdctl(cluster, "put", f"/a/{number % 8}", "v" * (number * 1000))
    etcdctl(cluster, "put", "/leased", "yes", f"--lease={lease}")
    etcdctl(cluster, "put", "/empty", "")
    etcdctl(cluster, "del", "/a/3")
    etcdctl(cluster, "put", "/a/4", "after")
    etcdctl(cluster, "compaction", "12")
    etcdctl(cluster, "user", "add", "anna:secret")
    etcdctl(cluster, "role", "add", "reader")
    etcdctl(cluster, "role", "grant-permission", "reader", "read", "/a/", "/a0")
    etcdctl(cluster, "user", "grant-role", "anna", "reader")


def all_of(cluster: Cluster) -> KeyValues:
    kvs = json.loads(etcdctl(cluster, "get", "", "--prefix", "-w", "json").stdout).get("kvs", [])
    found = {}
    for kv in kvs:
        key, value = (base64.b64decode(kv.get(field, "")) for field in ("key", "value"))
        found[key] = (value, kv["create_revision"], kv["mod_revision"], kv["version"], kv.get("lease", 0))
    return found


def revision(cluster: Cluster) -> int:
    found: int = json.loads(etcdctl(cluster, "get", "none", "-w", "json").stdout)["header"]["revision"]
    return found


def require_same(restored: Cluster, before: KeyValues, at: int) -> None:
    """Keys with all their fields, the past, leases, users; and it can be written."""
    assert all_of(restored) == before
    past = etcdctl(restored, "get", "/a/3", "--rev", str(at - 2), "--print-value-only").stdout
    assert past.strip() == "v" * 19_000
    assert etcdctl(restored, "get", "/a/3", "--rev", str(at - 1)).stdout == ""
    assert "has been compacted" in etcdctl(restored, "get", "/a/3", "--rev", "11", check=False).stderr
    assert f"{before[b'/leased'][-1]:016x}" in etcdctl(restored, "lease", "list").stdout
    assert "Roles: reader" in etcdctl(restored, "user", "get", "anna").stdout
    assert "[/a/, /a0)" in etcdctl(restored, "role", "get", "reader").stdout
    assert etcdctl(restored, "put", "more", "1").stdout == "OK\n"


def restore_flags(cluster: Cluster, number: int = 0) -> list[str]:
    members = ",".join(f"{name}={url}" for name, url in zip(cluster.names, cluster.peers, strict=True))
    name = cluster.names[number]
    return [
        f"--name={name}",
        f"--data-dir={cluster.directory / name}",
        f"--initial-cluster={members}",
        f"--initial-advertise-peer-urls={cluster.peers[number]}",
    ]


def test_our_snapshot_becomes_an_etcd(tmp_path: Path, ours: Cluster) -> None:
    before, at, file = all_of(ours), revision(ours), str(tmp_path / "file")
    etcdctl(ours, "snapshot", "save", file)
    assert etcdctl(None, "snapshot", "status", file).stdout == kvstore("snapshot", "status", file).stdout
    restored = Cluster((require_tool("etcd"),), tmp_path, size=1)
    etcdctl(None, "snapshot", "restore", file, *restore_flags(restored))
    with restored:
        assert revision(restored) == at
        require_same(restored, before, at)


@pytest.mark.parametrize("saver", ["etcdctl", "kvstore"])
def test_a_snapshot_of_etcd_becomes_our_cluster(tmp_path: Path, etcd: Cluster, saver: str) -> None:
    before, at, file = all_of(etcd), revision(etcd), str(tmp_path / "file")
    if saver == "etcdctl":
        etcdctl(etcd, "snapshot", "save", file)
    else:
        done = kvstore("snapshot", "save", file, "--endpoints", f"127.0.0.1:1,{etcd.endpoints[0]}")
        assert done.stdout == f"Snapshot saved at {file}\n"
    assert kvstore("snapshot", "status", file).stdout == etcdctl(None, "snapshot", "status", file).stdout
    size = 3 if saver == "etcdctl" else 1
    restored = Cluster(KVSTORE, tmp_path, size=size, flags=("--unsafe-no-fsync",))
    for number in range(size):
        flags = [*restore_flags(restored, number), f"--bump-revision={BUMP}", "--no-mark-compacted"]
        kvstore("snapshot", "restore", file, *flags)
    with restored:
        assert revision(restored) == at + BUMP
        require_same(restored, before, at)


def test_our_snapshot_becomes_our_cluster_with_the_past_closed(tmp_path: Path, ours: Cluster) -> None:
    before, at, file = all_of(ours), revision(ours), str(tmp_path / "file")
    kvstore("snapshot", "save", file, "--endpoints", ours.endpoints[1])
    restored = Cluster(KVSTORE, tmp_path, size=1, flags=("--unsafe-no-fsync",))
    kvstore("snapshot", "restore", file, *restore_flags(restored))
    with restored:
        assert all_of(restored) == before
        assert revision(restored) > at + 1_000_000
        assert "compacted" in etcdctl(restored, "get", "/a/4", "--rev", str(at), check=False).stderr


def test_members_of_different_snapshots_do_not_form_a_cluster(tmp_path: Path, ours: Cluster) -> None:
    restored = Cluster(KVSTORE, tmp_path, size=2)
    for number in range(2):
        file = str(tmp_path / f"file{number}")
        kvstore("snapshot", "save", file, "--endpoints", ours.endpoints[0])
        etcdctl(ours, "put", "/between", "1")
        kvstore("snapshot", "restore", file, *restore_flags(restored, number))
    try:
        for number in range(2):
            restored.start(number)
        eventually(lambda: "a member of another cluster" in restored.log(0) + restored.log(1), "a refusal")
        assert etcdctl(restored, "put", "a", "1", "--command-timeout=2s", check=False).returncode != 0
    finally:
        restored.stop()


def test_damaged_files_are_refused_by_name(tmp_path: Path, ours: Cluster) -> None:
    file = tmp_path / "file"
    etcdctl(ours, "snapshot", "save", str(file))
    whole = file.read_bytes()
    for damaged in (whole[:-1000], whole[:9000] + b"x" + whole[9001:]):
        file.write_bytes(damaged)
        target = Cluster(KVSTORE, tmp_path, size=1)
        for command in (["status", str(file)], ["restore", str(file), *restore_flags(target)]):
            done = kvstore("snapshot", *command, check=False)
            assert done.returncode == 1
            assert done.stderr.startswith(f"Error: {file}: ")
            assert "Traceback" not in done.stderr
        assert not any((tmp_path / target.names[0]).iterdir())


def test_preview_names_what_would_change(tmp_path: Path, etcd: Cluster, ours: Cluster) -> None:
    file = str(tmp_path / "file")
    kvstore("snapshot", "save", file, "--endpoints", etcd.endpoints[0])
    etcdctl(etcd, "put", "/a/1", "other")
    etcdctl(etcd, "put", "/new/x/y", "1")
    etcdctl(etcd, "del", "/leased")
    preview = ("snapshot", "restore", file, "--preview", "-w", "json", "--endpoints")
    found = json.loads(kvstore(*preview, etcd.endpoints[0]).stdout)
    assert (found["liveRevision"] - found["snapshotRevision"], found["unchanged"]) == (3, 7)
    assert found["prefixes"] == [
        {"prefix": "/", "vanish": 0, "change": 0, "return": 1},
        {"prefix": "/a/", "vanish": 0, "change": 1, "return": 0},
        {"prefix": "/new/x/", "vanish": 1, "change": 0, "return": 0},
    ]
    assert "another cluster" in kvstore(*preview, ours.endpoints[0], check=False).stderr


def test_the_leader_is_replaced_and_a_failed_try_leaves_no_trace(tmp_path: Path) -> None:
    with Cluster(KVSTORE, tmp_path, flags=("--unsafe-no-fsync",)) as cluster:
        etcdctl(cluster, "put", "a", "1")
        everyone = ("--endpoints", ",".join(cluster.endpoints))
        leader = leader_of(cluster)
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        command = ("replace", cluster.names[leader], "--peer-urls", peer, *everyone)
        done = kvstore(*command, "--timeout", "1s", check=False)
        assert "did not start and catch up within 1 s" in done.stderr
        members = etcdctl(cluster, "member", "list").stdout
        assert len(members.splitlines()) == 3

        process = subprocess.Popen([*KVSTORE, *command], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        flags = [process.stdout.readline(), process.stdout.readline()][1].split()
        new = start_new(tmp_path, flags[-1].replace("NAME=", "new="), client, peer)
        try:
            said, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, said
            assert "moved leadership" in said
            cluster.kill(leader)
            with_new = Cluster(KVSTORE, tmp_path, size=0)
            with_new.endpoints = [client]
            members = etcdctl(with_new, "member", "list").stdout
            assert cluster.names[leader] + "," not in members
            assert "started, new," in members
            assert etcdctl(with_new, "get", "a", "--print-value-only").stdout == "1\n"
        finally:
            new.kill()
            new.wait(SECONDS)


def leader_of(cluster: Cluster) -> int:
    everyone = ("--endpoints", ",".join(cluster.endpoints))
    rows = json.loads(etcdctl(None, *everyone, "endpoint", "status", "-w", "json").stdout)
    statuses = [row["Status"] for row in rows]
    return next(n for n, each in enumerate(statuses) if each["leader"] == each["header"]["member_id"])


def start_new(directory: Path, initial_cluster: str, client: str, peer: str) -> subprocess.Popen[bytes]:
    flags = ["--name=new", f"--data-dir={directory / 'new'}", "--initial-cluster-state=existing"]
    flags += [f"--initial-cluster={initial_cluster}", f"--initial-advertise-peer-urls={peer}"]
    flags += [
        f"--listen-peer-urls={peer}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
    ]
    with open(directory / "new.log", "wb") as log:
        return subprocess.Popen([*KVSTORE, *flags, "--unsafe-no-fsync"], stdout=log, stderr=log)


def test_a_mirror_follows_both_ways_and_resumes(tmp_path: Path, ours: Cluster, etcd: Cluster) -> None:
    for number, (source, target) in enumerate(((ours, etcd), (etcd, ours))):
        prefix, state = f"/m{number}/", str(tmp_path / f"state{number}")
        command = [*KVSTORE, "mirror", "--source", ",".join(source.endpoints), "--dest", target.endpoints[0]]
        command += [
            "--prefix",
            prefix,
            "--dest-prefix",
            "/copy" + prefix,
            "--state",
            state,
            "--strict-revisions",
        ]
        for key in ("z", "a", "m"):
            etcdctl(source, "put", prefix + key, key)
        follow(command, target, prefix, {"z": "z", "a": "a", "m": "m"})
        etcdctl(source, "del", prefix + "a")
        etcdctl(source, "put", prefix + "z", "again")
        follow(command, target, prefix, {"m": "m", "z": "again"})


def follow(command: list[str], target: Cluster, prefix: str, wanted: dict[str, str]) -> None:
    """Run a mirror until the destination has these keys, in this order of their revisions; then end it."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    order = ("--sort-by=MODIFY", "--order=ASCEND")

    def is_there() -> bool:
        lines = etcdctl(target, "get", f"/copy{prefix}", "--prefix", *order).stdout.splitlines()
        return lines == [text for key, value in wanted.items() for text in (f"/copy{prefix}{key}", value)]

    try:
        eventually(lambda: process.poll() is not None or is_there(), "the destination has the source's keys")
    finally:
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=SECONDS)
        print(words)
    assert process.returncode == 0, words
    assert is_there(), words
