"""A watcher that stops reading while others write a thousand times a second, against real processes.

`make slow-reader` is the long form, a minute. The values are so large that all that is not read would be seen in the
member's memory, if it were kept there; the same is written before, so that its log has its usual size.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from kvstore.rpc.proto import rpc_pb2 as pb
from tests.support.kvstore_cluster import KVSTORE, Cluster

SECONDS = int(os.environ.get("SLOW_READER_SECONDS", "3"))
RATE = 1000
"""Puts a second."""
UNREAD_MIB = 96
VALUE = bytes(UNREAD_MIB * (1 << 20) // (RATE * SECONDS))
BOUND_MIB = UNREAD_MIB // 2
"""What the member's own memory may grow by."""
STEP = 0.02
"""Seconds between two bursts of puts."""
PATIENCE = 60.0
PREFIX = pb.WatchCreateRequest(key=b"k", range_end=b"l")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60 + 4 * SECONDS)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(KVSTORE, tmp_path, flags=("--unsafe-no-fsync", "--snapshot-count=100")) as cluster:
        yield cluster


class Reader:
    """One watch. `revisions` are those of the events seen, in their order."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        watch = channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )
        self._stream: Any = watch()
        self.revisions: list[int] = []
        self.compact_revision = 0

    async def begin(self) -> None:
        await self._stream.write(pb.WatchRequest(create_request=PREFIX))
        assert (await self._stream.read()).created

    async def read_until(self, revision: int) -> None:
        """Or until the watch is cancelled."""
        while not self.compact_revision and (self.revisions or [0])[-1] < revision:
            response = await self._stream.read()
            self.revisions += [event.kv.mod_revision for event in response.events]
            if response.canceled:
                self.compact_revision = response.compact_revision


class Writer:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        kinds = {
            "Put": (pb.PutRequest, pb.PutResponse),
            "Compact": (pb.CompactionRequest, pb.CompactionResponse),
        }
        self._calls = {
            name: channel.unary_unary(
                f"/etcdserverpb.KV/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            for name, (request, response) in kinds.items()
        }

    async def put(self, number: int) -> int:
        request = pb.PutRequest(key=b"k%d" % (number % 50), value=VALUE)
        return int((await self._calls["Put"](request, timeout=PATIENCE)).header.revision)

    async def compact(self, revision: int) -> None:
        await self._calls["Compact"](pb.CompactionRequest(revision=revision), timeout=PATIENCE)

    async def put_all(self) -> int:
        """The last revision; as fast as it goes if that is slower than asked for."""
        loop, burst = asyncio.get_running_loop(), round(RATE * STEP)
        begun, revisions = loop.time(), []
        for number in range(round(SECONDS / STEP)):
            revisions += await asyncio.gather(*(self.put(number * burst + n) for n in range(burst)))
            await asyncio.sleep(max(0.0, begun + (number + 1) * STEP - loop.time()))
        return max(revisions)


@asynccontextmanager
async def connected(endpoint: str, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Each with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(endpoint, options=options) for _ in range(count)]
    try:
        yield channels
    finally:
        for channel in channels:
            await channel.close()


def own_memory_mib(pid: int) -> float:
    """Without mapped files, as the database is one."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("compacted", [False, True], ids=["kept", "compacted"])
def test_who_does_not_read_costs_the_others_nothing(cluster: Cluster, compacted: bool) -> None:
    process = cluster.processes[0]
    assert process is not None

    async def main() -> None:
        async with connected(cluster.endpoints[0], 3) as (slow_channel, fast_channel, other):
            slow, fast, writer = Reader(slow_channel), Reader(fast_channel), Writer(other)
            first = await writer.put_all() + 1
            await slow.begin()
            await fast.begin()
            before = own_memory_mib(process.pid)
            reading = asyncio.create_task(fast.read_until(first + RATE * SECONDS - 1))
            last = await writer.put_all()
            grown = own_memory_mib(process.pid) - before
            every = list(range(first, last + 1))
            await asyncio.wait_for(reading, PATIENCE)
            assert fast.revisions == every
            assert grown < BOUND_MIB
            if compacted:
                await writer.compact(last)
            await asyncio.wait_for(slow.read_until(last), PATIENCE)
            assert slow.revisions == every[: len(slow.revisions)]
            assert slow.compact_revision == (last if compacted else 0)
            assert compacted == (len(slow.revisions) < len(every))

    asyncio.run(main())
