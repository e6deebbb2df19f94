"""Snapshots exchanged with a real etcd, both ways, by our commands and by etcdctl."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvstore.member import Member, MemberConfig
from kvstore.types import DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, TxnRequest
from tests.support.local_cluster import eventually
from tests.support.tools import require_tool

pytestmark = pytest.mark.e2e

SECONDS = 30.0
KeyValues = dict[bytes, tuple[bytes, int, int, int, int]]
"""key -> value, create revision, mod revision, version, lease."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


class Etcd:
    """One real etcd."""

    def __init__(self, directory: Path, name: str = "m1") -> None:
        self.directory, self.name = directory, name
        self.client = f"http://{free_address()}"
        self.peer = f"http://{free_address()}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def cluster_flags(self) -> list[str]:
        peers = ("--initial-cluster", f"{self.name}={self.peer}", "--initial-advertise-peer-urls", self.peer)
        return ["--name", self.name, "--data-dir", str(self.directory), *peers]

    def start(self) -> None:
        command = [require_tool("etcd"), *self.cluster_flags, "--listen-peer-urls", self.peer]
        command += ["--listen-client-urls", self.client, "--advertise-client-urls", self.client]
        with open(self.directory.with_suffix(".log"), "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(
            lambda: etcdctl(self, "endpoint", "health", check=False).returncode == 0, "etcd is healthy"
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process = None


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    etcd = Etcd(tmp_path / "etcd")
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.stop()


def etcdctl(etcd: Etcd | None, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    where = ["--endpoints", etcd.client] if etcd else []
    return run([require_tool("etcdctl"), *where, *arguments], check=check)


def kvstore(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    code = "import sys; from kvstore.commands.snapshot import main; sys.exit(main(sys.argv[2:]))"
    return run([sys.executable, "-c", code, *arguments], check=check)


def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ETCDCTL_API": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def fill(etcd: Etcd) -> None:
    """Several versions, a deletion, a lease, a transaction, large and empty values, a compaction."""
    lease = etcdctl(etcd, "lease", "grant", "3600").stdout.split()[1]
    for number in range(20):
        etcdctl(etcd, "put", f"/a/{number % 8}", "v" * (number * 1000))
    etcdctl(etcd, "put", "/leased", "yes", f"--lease={lease}")
    etcdctl(etcd, "put", "/empty", "")
    etcdctl(etcd, "del", "/a/3")
    etcdctl(etcd, "put", "/a/4", "after")
    etcdctl(etcd, "compaction", "12")


def all_of(etcd: Etcd) -> KeyValues:
    kvs = json.loads(etcdctl(etcd, "get", "", "--prefix", "-w", "json").stdout).get("kvs", [])
    return {_bytes(kv, "key"): _known(kv) for kv in kvs}


def _known(kv: dict[str, Any]) -> tuple[bytes, int, int, int, int]:
    value, lease = _bytes(kv, "value"), kv.get("lease", 0)
    return value, kv["create_revision"], kv["mod_revision"], kv["version"], lease


def _bytes(kv: dict[str, Any], field: str) -> bytes:
    return base64.b64decode(kv.get(field, ""))


async def all_of_member(member: Member) -> KeyValues:
    kvs = (await member.range(RangeRequest(b"\0", b"\0"))).kvs
    return {kv.key: (kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease) for kv in kvs}


def with_member(directory: Path, test: Callable[[Member], Awaitable[None]]) -> None:
    """`test` with a running member m1 on this data directory."""

    async def main() -> None:
        address = ("127.0.0.1", free_port())
        config = MemberConfig("m1", directory, {"m1": address}, address, "new", unsafe_no_fsync=True)
        member = Member(dataclasses.replace(config, heartbeat_interval=0.05, election_timeout=0.3))
        await member.start()
        try:
            await member.wait_leader(10)
            await test(member)
        finally:
            await member.stop()

    asyncio.run(main())


@pytest.mark.parametrize("saver", ["etcdctl", "kvstore"])
def test_a_snapshot_of_etcd_becomes_our_member(tmp_path: Path, etcd: Etcd, saver: str) -> None:
    fill(etcd)
    file = tmp_path / "file"
    if saver == "etcdctl":
        etcdctl(etcd, "snapshot", "save", str(file))
    else:
        assert "Snapshot saved" in kvstore("snapshot", "save", str(file), "--endpoints", etcd.client).stdout
    assert (
        kvstore("snapshot", "status", str(file)).stdout
        == etcdctl(None, "snapshot", "status", str(file)).stdout
    )
    before = all_of(etcd)
    etcd.directory = tmp_path / "ours"
    kvstore(
        "snapshot", "restore", str(file), *etcd.cluster_flags, "--bump-revision", "100", "--no-mark-compacted"
    )

    async def test(member: Member) -> None:
        assert await all_of_member(member) == before
        revision = max(mod for _, _, mod, _, _ in before.values())
        assert member.revision() == revision + 100
        assert member.compact_revision() == 12
        old = await member.range(RangeRequest(b"/a/3", revision=revision - 2))
        assert old.kvs[0].value == b"v" * 19_000
        (lease,) = (await member.leases()).leases
        assert before[b"/leased"][-1] == lease

    with_member(tmp_path / "ours", test)


def test_our_snapshot_becomes_an_etcd(tmp_path: Path) -> None:
    file = tmp_path / "file"
    before: KeyValues = {}

    async def test(member: Member) -> None:
        lease = (await member.lease_grant(LeaseGrantRequest(3600))).id
        for number in range(300):
            await member.put(PutRequest(b"/a/%d" % (number % 100), b"v" * (number * 50)))
        await member.put(PutRequest(b"/leased", b"yes", lease))
        await member.txn(TxnRequest(success=(PutRequest(b"/t/1", b""), PutRequest(b"/t/2", b"2"))))
        await member.delete_range(DeleteRangeRequest(b"/a/5", b"/a/6"))
        before.update(await all_of_member(member))
        with open(file, "wb") as out:  # noqa: ASYNC230
            async for chunk in member.export():
                out.write(chunk.data)

    with_member(tmp_path / "ours", test)
    assert (
        etcdctl(None, "snapshot", "status", str(file)).stdout
        == kvstore("snapshot", "status", str(file)).stdout
    )
    etcd = Etcd(tmp_path / "etcd")
    etcdctl(None, "snapshot", "restore", str(file), *etcd.cluster_flags)
    try:
        etcd.start()
        assert all_of(etcd) == before
        revision = 1 + max(mod for _, _, mod, _, _ in before.values())  # the deletion is the last
        assert f'"revision":{revision}' in etcdctl(etcd, "get", "none", "-w", "json").stdout
        old = etcdctl(etcd, "get", "/a/5", "--rev", str(revision), "--print-value-only").stdout
        assert old.strip() == ""
        old = etcdctl(etcd, "get", "/a/5", "--rev", str(revision - 1), "--print-value-only").stdout
        assert old.strip() == "v" * 205 * 50
        assert len(etcdctl(etcd, "lease", "list").stdout.splitlines()) == 2
        assert etcdctl(etcd, "put", "more", "1").stdout == "OK\n"
    finally:
        etcd.stop()


def test_damaged_files_are_refused_by_name(tmp_path: Path, etcd: Etcd) -> None:
    fill(etcd)
    file = tmp_path / "file"
    etcdctl(etcd, "snapshot", "save", str(file))
    whole = file.read_bytes()
    for damaged in (whole[:-1000], whole[:5000], whole[:9000] + b"x" + whole[9001:], b""):
        file.write_bytes(damaged)
        etcd.directory = tmp_path / "ours"
        for command in (["status", str(file)], ["restore", str(file), *etcd.cluster_flags]):
            done = kvstore("snapshot", *command, check=False)
            assert done.returncode == 1
            assert done.stderr.startswith(f"Error: {file}: ")
            assert "Traceback" not in done.stderr
        assert not any(etcd.directory.iterdir())


def test_preview_names_what_would_change(tmp_path: Path, etcd: Etcd) -> None:
    fill(etcd)
    file = tmp_path / "file"
    kvstore("snapshot", "save", str(file), "--endpoints", etcd.client)
    etcdctl(etcd, "put", "/a/1", "other")
    etcdctl(etcd, "put", "/new/x/y", "1")
    etcdctl(etcd, "del", "/leased")
    shown = kvstore(
        "snapshot", "restore", str(file), "--preview", "--endpoints", etcd.client, "-w", "json"
    ).stdout
    found = json.loads(shown)
    assert (found["liveRevision"] - found["snapshotRevision"], found["unchanged"]) == (3, 7)
    assert found["prefixes"] == [
        {"prefix": "/", "vanish": 0, "change": 0, "return": 1},
        {"prefix": "/a/", "vanish": 0, "change": 1, "return": 0},
        {"prefix": "/new/x/", "vanish": 1, "change": 0, "return": 0},
    ]
    etcd.stop()
    other = Etcd(tmp_path / "other")
    try:
        other.start()
        done = kvstore(
            "snapshot", "restore", str(file), "--preview", "--endpoints", other.client, check=False
        )
        assert "another cluster" in done.stderr
    finally:
        other.stop()
