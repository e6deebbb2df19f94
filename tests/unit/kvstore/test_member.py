"""The facade over real engines and LMDB: what the API server relies on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kvstore.backup import restore_database
from kvstore.config import MemberConfig
from kvstore.errors import ClusterIDMismatch, LeaseNotFound, NotLeader, RequestTooLarge, Stopped
from kvstore.member import Member
from kvstore.types import (
    CompactionRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RangeRequest,
    WatchCreateRequest,
)

ALL = RangeRequest(b"\0", b"\0")


def addresses(count: int) -> dict[str, tuple[str, int]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = {f"m{n}": ("127.0.0.1", each.getsockname()[1]) for n, each in enumerate(sockets, 1)}
    for each in sockets:
        each.close()
    return found


def config(directory: Path, cluster: dict[str, tuple[str, int]], name: str, token: str = "t") -> MemberConfig:
    return MemberConfig(
        name=name,
        data_dir=directory / name,
        initial_cluster=cluster,
        listen=cluster[name],
        cluster_token=token,
        heartbeat_interval=0.05,
        election_timeout=0.5,
        unsafe_no_fsync=True,
    )


def with_members(directory: Path, count: int, test: Callable[[list[Member]], Awaitable[None]]) -> None:
    async def main() -> None:
        cluster = addresses(count)
        members = [Member(config(directory, cluster, name)) for name in cluster]
        try:
            for member in members:
                await member.start()
            await members[0].wait_leader(10)
            await test(members)
        finally:
            for member in members:
                await member.stop()

    asyncio.run(main())


def test_a_single_member_keeps_its_data_and_identity(tmp_path: Path) -> None:
    async def test(members: list[Member]) -> None:
        (member,) = members
        put = await member.put(PutRequest(b"a", b"1"))
        assert put.header.member_id == member.id
        await member.stop()
        with pytest.raises(Stopped):
            await member.put(PutRequest(b"a", b"2"))
        await member.start()
        kv = (await member.range(RangeRequest(b"a"))).kvs[0]
        assert (kv.value, kv.mod_revision) == (b"1", put.header.revision)

    with_members(tmp_path, 1, test)


def test_any_member_writes_reads_and_watches(tmp_path: Path) -> None:
    async def test(members: list[Member]) -> None:
        stream = members[2].watch()
        stream.create(WatchCreateRequest(b"\0", b"\0"))
        for n, member in enumerate(members):
            await member.put(PutRequest(b"k%d" % n, b"v"))
            for reader in members:
                assert (await reader.range(ALL)).count == n + 1
        seen: list[bytes] = []
        async with asyncio.timeout(5):
            async for response in stream:
                seen += [event.kv.key for event in response.events]
                if len(seen) == 3:
                    break
        assert seen == [b"k0", b"k1", b"k2"]
        hashes = {(await member.hash_kv(members[0].revision())).hash for member in members}
        assert len(hashes) == 1

    with_members(tmp_path, 3, test)


def test_leases_end_by_the_leaders_word(tmp_path: Path) -> None:
    async def test(members: list[Member]) -> None:
        (member,) = members
        lease = await member.lease_grant(LeaseGrantRequest(60))
        await member.put(PutRequest(b"a", b"1", lease.id))
        left = await member.lease_time_to_live(LeaseTimeToLiveRequest(lease.id, keys=True))
        assert left.keys == (b"a",)
        await member.lease_revoke(LeaseRevokeRequest(lease.id))
        with pytest.raises(LeaseNotFound):
            await member.lease_revoke(LeaseRevokeRequest(lease.id))
        short = await member.lease_grant(LeaseGrantRequest(1))
        await member.put(PutRequest(b"b", b"1", short.id))
        async with asyncio.timeout(10):
            while (await member.range(ALL)).count:  # noqa: ASYNC110 - real time and a real lease
                await asyncio.sleep(0.1)

    with_members(tmp_path, 1, test)


def test_status_list_and_transfer(tmp_path: Path) -> None:
    async def test(members: list[Member]) -> None:
        leader = next(m for m in members if m.is_leader)
        other = next(m for m in members if m is not leader)
        await other.put(PutRequest(b"a", b"1"))
        status = await leader.status()
        assert status.leader == leader.id
        assert status.raft_applied_index <= status.raft_index
        assert [info.name for info in sorted(leader.member_list(), key=lambda m: m.name)] == [
            "m1",
            "m2",
            "m3",
        ]
        assert all(each.connected for each in leader.progress())
        with pytest.raises(NotLeader):
            await other.move_leader(leader.id)
        await leader.move_leader(other.id)
        await other.wait_leader(5)
        await leader.put(PutRequest(b"b", b"1"))
        assert other.is_leader

    with_members(tmp_path, 3, test)


def test_too_large_a_request_is_refused_before_it_is_proposed(tmp_path: Path) -> None:
    async def test(members: list[Member]) -> None:
        with pytest.raises(RequestTooLarge):
            await members[0].put(PutRequest(b"a", b"x" * 2_000_000))
        await members[0].put(PutRequest(b"a", b"x" * 1_500_000))

    with_members(tmp_path, 1, test)


def test_the_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = addresses(1)
        member = Member(config(tmp_path, cluster, "m1"))
        await member.start()
        await member.stop()
        with pytest.raises(ClusterIDMismatch, match="m1"):
            await Member(config(tmp_path, cluster, "m1", token="other")).start()

    asyncio.run(main())


def test_a_taken_peer_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = addresses(2)
        with (
            socket.create_server(cluster["m1"]),
            pytest.raises(OSError, match=f"{cluster['m1'][1]}"),
        ):
            await Member(config(tmp_path, cluster, "m1")).start()

    asyncio.run(main())


def test_a_restored_database_starts_as_a_new_cluster(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = addresses(3)
        old = [Member(config(tmp_path / "old", cluster, name)) for name in cluster]
        for member in old:
            await member.start()
        await old[0].put(PutRequest(b"a", b"1"))
        await old[0].compact(CompactionRequest(old[0].revision()))
        meta = await old[0].snapshot(tmp_path / "backup")
        for member in old:
            await member.stop()
        new = [Member(config(tmp_path / "new", cluster, name, token="new")) for name in cluster]
        for member in new:
            restore_database(tmp_path / "backup", member.config.data_dir / "member" / "db")
            await member.start()
        response = await new[1].range(RangeRequest(b"a"))
        assert response.kvs[0].value == b"1"
        assert response.header.revision > meta.revision
        assert new[0].cluster_id != old[0].cluster_id
        await new[2].put(PutRequest(b"b", b"2"))
        for member in new:
            await member.stop()

    asyncio.run(main())


WRITER = """
import asyncio, sys
from pathlib import Path
from kvstore.config import MemberConfig
from kvstore.member import Member
from kvstore.types import PutRequest

async def main():
    cluster = {}
    for part in sys.argv[4:]:
        name, port = part.split("=")
        cluster[name] = ("127.0.0.1", int(port))
    name = sys.argv[1]
    member = Member(MemberConfig(name, Path(sys.argv[2]), cluster, cluster[name], "kill", election_timeout=0.5,
                                 heartbeat_interval=0.05))
    await member.start()
    n = 0
    while True:
        key = f"{name}-{sys.argv[3]}-{n}"
        await member.put(PutRequest(key.encode(), b"x" * 100))
        print(key, flush=True)
        n += 1

asyncio.run(main())
"""


def test_nothing_acknowledged_is_lost_when_every_process_is_killed(tmp_path: Path) -> None:
    cluster = addresses(3)
    arguments = [f"{name}={port}" for name, (_, port) in cluster.items()]
    acknowledged: list[str] = []

    async def life(number: int) -> None:
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WRITER, name, str(tmp_path / name), str(number), *arguments),
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            for name in cluster
        ]

        async def collect(process: asyncio.subprocess.Process) -> None:
            assert process.stdout is not None
            async for line in process.stdout:
                if line.endswith(b"\n"):
                    acknowledged.append(line.decode().strip())

        readers = [asyncio.ensure_future(collect(process)) for process in processes]
        before = len(acknowledged)
        try:
            async with asyncio.timeout(30):
                while len(acknowledged) < before + 60:  # noqa: ASYNC110 - other processes write
                    await asyncio.sleep(0.02)
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.gather(*(process.wait() for process in processes), *readers)

    async def main() -> None:
        for number in range(2):
            await life(number)
        members = [
            Member(MemberConfig(name, tmp_path / name, cluster, cluster[name], "kill")) for name in cluster
        ]
        for member in members:
            await member.start()
        stored = await members[0].range(ALL)
        keys = [kv.key.decode() for kv in stored.kvs]
        assert set(acknowledged) <= set(keys)
        assert all(kv.version == 1 for kv in stored.kvs)
        for member in members:
            await member.read_index()
        assert len({(await member.hash_kv(stored.header.revision)).hash for member in members}) == 1
        for member in members:
            await member.stop()

    asyncio.run(main())
