"""etcd's own list of bugs that broke its guarantees (tests/robustness/README.md there), one test each.

What is a race is a run of the harness with the faults that showed it; what is a sequence of calls is that sequence.
`docs/robustness.md` has the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from components.drills import disks
from components.drills.recording import wire
from components.drills.recording.recorder import Client, Recorder
from components.drills.recording.watcher import PATH
from kvstore.check.history import AnyRequest, Call, Compact, Delete, Put, Range, Txn, Watch, Watched
from kvstore.rpc.proto import rpc_pb2
from tests.robustness.harness.cluster import Cluster
from tests.robustness.harness.run import Plan, run
from tests.robustness.test_robustness import KEEP, assert_passed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
SECONDS = 10.0


class Living:
    """A cluster of three that the tests of this file share, and a client that insists."""

    def __init__(self, directory: Path) -> None:
        self.cluster = Cluster(directory, proxied=False)
        self.client = Client(0, self.cluster.endpoints, Recorder())

    async def start(self) -> None:
        await self.cluster.create()
        for member in self.cluster.members:
            self.cluster.start(member)
        await self.cluster.ready()

    async def ok(self, request: AnyRequest, member: int = 0) -> Call:
        self.client.pin(member)
        call = await self.client.call(request, SECONDS)
        assert call.outcome == "ok", call.error
        return call

    async def put(self, key: str, value: str, member: int = 0) -> int:
        return revision(await self.ok(Put(key, value), member))

    async def restart_all(self) -> None:
        for member in self.cluster.members:
            self.cluster.kill(member)
        self.cluster.ensure_running()
        await self.cluster.ready()

    async def hashes(self) -> set[tuple[int, int]]:
        """Of all members at the present revision."""
        now = revision(await self.ok(Range("k")))
        found = set()
        for number, endpoint in enumerate(self.cluster.endpoints):
            await self.ok(Range("k"), number)
            path, request = "/etcdserverpb.Maintenance/HashKV", rpc_pb2.HashKVRequest(revision=now)
            answer = await endpoint.unary(path, request, rpc_pb2.HashKVResponse, SECONDS)
            found.add((answer.hash, answer.compact_revision))
        return found

    @asynccontextmanager
    async def watch(
        self, key: str, start: int, member: int = 0, *, prev_kv: bool = False
    ) -> AsyncIterator[Any]:
        stream = self.cluster.endpoints[member].stream(PATH, rpc_pb2.WatchRequest, rpc_pb2.WatchResponse)
        try:
            await stream.write(wire.watch_message(Watch(1, 1, 0, key, start_revision=start, prev_kv=prev_kv)))
            yield stream
        finally:
            stream.cancel()


def revision(call: Call) -> int:
    assert call.result is not None
    assert call.result.revision is not None
    return call.result.revision


async def receive(stream: Any, events: int, seconds: float = SECONDS) -> list[Watched]:
    """Responses until that many events came."""
    found: list[Watched] = []
    async with asyncio.timeout(seconds):
        while sum(len(response.events) for response in found) < events:
            found.append(wire.watched(1, 0, await stream.read()))
            assert not found[-1].canceled, found[-1]
    return found


@pytest.fixture(scope="module")
def do(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Callable[[Living], Awaitable[None]]], None]]:
    """Runs a coroutine function on the cluster."""
    living = Living(tmp_path_factory.mktemp("known-bugs"))
    with asyncio.Runner() as runner:
        try:
            runner.run(living.start())
            yield lambda steps: runner.run(steps(living))  # type: ignore[arg-type]
        finally:
            runner.run(living.cluster.close())


Do = Callable[[Callable[[Living], Awaitable[None]]], None]


def test_13766_crashes_under_high_load_leave_members_equal() -> None:
    assert_passed(run(Plan(13766, 1.0, ("kill-all", "kill-follower"), pause=0.003, keep=KEEP)))


def test_14370_a_cluster_of_one_loses_no_write_when_it_crashes() -> None:
    fault = "power-loss" if disks.available() else "kill-all"
    assert_passed(run(Plan(14370, 1.5, (fault,), members=1, keep=KEEP)))


def test_14571_enabling_authentication_leaves_members_equal(do: Do) -> None:
    """A member that restarts after authentication was enabled has to decide as the others do."""

    async def steps(living: Living) -> None:
        first = living.cluster.endpoints[0]

        async def auth(method: str, request: Any, kind: Any) -> Any:
            return await first.unary(f"/etcdserverpb.Auth/{method}", request, kind, SECONDS)

        await auth(
            "UserAdd", rpc_pb2.AuthUserAddRequest(name="root", password="r"), rpc_pb2.AuthUserAddResponse
        )
        await auth("RoleAdd", rpc_pb2.AuthRoleAddRequest(name="root"), rpc_pb2.AuthRoleAddResponse)
        grant = rpc_pb2.AuthUserGrantRoleRequest(user="root", role="root")
        await auth("UserGrantRole", grant, rpc_pb2.AuthUserGrantRoleResponse)
        await auth("AuthEnable", rpc_pb2.AuthEnableRequest(), rpc_pb2.AuthEnableResponse)
        living.cluster.kill(living.cluster.members[2])
        living.cluster.start(living.cluster.members[2])
        login = rpc_pb2.AuthenticateRequest(name="root", password="r")
        for endpoint in (*living.cluster.endpoints, first):
            token = await authenticated(endpoint, login)
            put = endpoint.channel.unary_unary(
                "/etcdserverpb.KV/Put",
                request_serializer=rpc_pb2.PutRequest.SerializeToString,
                response_deserializer=rpc_pb2.PutResponse.FromString,
            )
            await put(
                rpc_pb2.PutRequest(key=b"auth", value=b"1"), metadata=(("token", token),), timeout=SECONDS
            )
        disable = first.channel.unary_unary(
            "/etcdserverpb.Auth/AuthDisable",
            request_serializer=rpc_pb2.AuthDisableRequest.SerializeToString,
            response_deserializer=rpc_pb2.AuthDisableResponse.FromString,
        )
        await disable(rpc_pb2.AuthDisableRequest(), metadata=(("token", token),), timeout=SECONDS)
        assert len(await living.hashes()) == 1

    do(steps)


async def authenticated(endpoint: Any, login: Any) -> str:
    """A token, as soon as the member serves."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                path, kind = "/etcdserverpb.Auth/Authenticate", rpc_pb2.AuthenticateResponse
                return str((await endpoint.unary(path, login, kind, SECONDS)).token)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.1)


def test_14685_crashes_while_defragmenting_leave_members_equal(do: Do) -> None:
    async def steps(living: Living) -> None:
        for number, member in enumerate(living.cluster.members[:2]):
            before = await living.put("defragmented", str(number), number)
            path, endpoint = "/etcdserverpb.Maintenance/Defragment", living.cluster.endpoints[number]
            asked = asyncio.ensure_future(
                endpoint.unary(path, rpc_pb2.DefragmentRequest(), rpc_pb2.DefragmentResponse, SECONDS)
            )
            await asyncio.sleep(0.001)
            living.cluster.kill(member)
            await asyncio.gather(asked, return_exceptions=True)
            living.cluster.ensure_running()
            await living.cluster.ready()
            assert await living.put("defragmented", "again", number) == before + 1
        assert len(await living.hashes()) == 1

    do(steps)


def test_15220_progress_is_told_after_the_events_it_covers(do: Do) -> None:
    """Asked for while the watch is still behind."""

    async def steps(living: Living) -> None:
        start = await living.put("progress", "0")
        for number in range(200):
            await living.put("progress", str(number))
        async with living.watch("progress", start) as stream:
            for _ in range(20):
                await stream.write(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
            told = start - 1
            async with asyncio.timeout(SECONDS):
                while told < start + 200:
                    response = wire.watched(1, 0, await stream.read())
                    if response.is_progress:
                        assert response.revision <= told, "a notification of what was not delivered"
                    for event in response.events:
                        assert event.revision == told + 1
                        told = event.revision

    do(steps)


def test_15271_no_watch_travels_back_in_time_after_a_partition() -> None:
    assert_passed(run(Plan(15271, 1.5, ("fall-behind", "isolate"), keep=KEEP)))


def test_17247_a_refused_transaction_is_seen_by_no_watch(do: Do) -> None:
    """Its first step is possible, its second is not."""

    async def steps(living: Living) -> None:
        now = await living.put("half", "before")
        async with living.watch("half", now + 1) as stream:
            call = await living.client.call(
                Txn((), (Put("half", "way"), Put("other", "1", 987_654_321))), SECONDS
            )
            assert (call.outcome, call.error) == ("error", "etcdserver: requested lease not found")
            assert await living.put("half", "after") == now + 1
            told = [event for response in await receive(stream, 1) for event in response.events]
            assert [(e.kv.value, e.kv.version, e.revision) for e in told] == [("after", 2, now + 1)]
        assert len(await living.hashes()) == 1

    do(steps)


def test_17529_a_starved_stream_loses_no_event(do: Do) -> None:
    """Many watches on one connection that nobody reads for a while; values large enough to fill every buffer."""

    async def steps(living: Living) -> None:
        count, watches = 150, 6
        start = await living.put("starved", "0") + 1
        async with living.watch("starved", start) as stream:
            for _ in range(watches - 1):
                await stream.write(wire.watch_message(Watch(1, 1, 0, "starved", start_revision=start)))
            for number in range(count):
                await living.put("starved", f"{number}".ljust(20_000, "."))
            told: dict[int, list[int]] = {}
            async with asyncio.timeout(3 * SECONDS):
                while sum(map(len, told.values())) < count * watches:
                    response = await stream.read()
                    assert not response.canceled
                    told.setdefault(response.watch_id, []).extend(e.kv.mod_revision for e in response.events)
        assert len(told) == watches
        assert all(seen == list(range(start, start + count)) for seen in told.values())

    do(steps)


def test_17780_the_revision_does_not_fall_when_a_compacted_store_crashes(do: Do) -> None:
    """The last revision is a deletion, and compacted."""

    async def steps(living: Living) -> None:
        await living.put("fallen", "1")
        deleted = revision(await living.ok(Delete("fallen")))
        await living.ok(Compact(deleted))
        await living.restart_all()
        for member in range(3):
            assert revision(await living.ok(Range("fallen"), member)) == deleted
        assert await living.put("fallen", "2") == deleted + 1

    do(steps)


@pytest.mark.parametrize("restarted", [False, True])
def test_18089_19179_a_deletion_at_the_compacted_revision_is_still_told(do: Do, restarted: bool) -> None:
    async def steps(living: Living) -> None:
        await living.put("gone", "1")
        await living.put("gone", "2")
        deleted = revision(await living.ok(Delete("gone")))
        await living.put("stays", "1")
        await living.ok(Compact(deleted))
        if restarted:
            await living.restart_all()
        for member in range(3):
            async with living.watch("gone", deleted, member) as stream:
                (event,) = [e for response in await receive(stream, 1) for e in response.events]
                assert (event.type, event.revision) == ("DELETE", deleted)

    do(steps)


def test_18667_a_transaction_that_reads_a_compacted_revision_changes_nothing_anywhere(do: Do) -> None:
    async def steps(living: Living) -> None:
        first = await living.put("read", "1")
        last = await living.put("read", "2")
        await living.ok(Compact(last))
        for read, said in ((first, "has been compacted"), (last + 1000, "is a future revision")):
            txn = Txn((), (Put("read", "3"), Range("read", revision=read)))
            call = await living.client.call(txn, SECONDS)
            assert call.outcome == "error"
            assert said in call.error
        assert revision(await living.ok(Range("read"))) == last
        assert len(await living.hashes()) == 1
        assert await living.put("read", "3") == last + 1

    do(steps)


def test_20221_a_watch_on_a_future_revision_is_told_nothing_older(do: Do) -> None:
    """Neither events nor progress; also of a member that comes back by what the others have."""

    async def steps(living: Living) -> None:
        now = await living.put("future", "0")
        start = now + 6
        async with living.watch("future", start, 1) as stream:
            await stream.write(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
            for number in range(8):
                await living.put("future", str(number))
            told = await receive(stream, 3)
            assert [e.revision for response in told for e in response.events] == [start, start + 1, start + 2]
            assert [r for r in told if r.is_progress and r.revision < start - 1] == []

    do(steps)
