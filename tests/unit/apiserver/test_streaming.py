"""Two connections joined: bytes both ways, bounded memory, and an end when either side goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from apiserver.streaming import dial, splice

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@contextlib.asynccontextmanager
async def joined() -> AsyncIterator[tuple[Pair, Pair, asyncio.Task[None]]]:
    """(client, backend, the splice between them)."""
    arrived: asyncio.Queue[Pair] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put((reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        near = await dial("127.0.0.1", port, None, 5.0)
        client = await arrived.get()
        far = await dial("127.0.0.1", port, None, 5.0)
        backend = await arrived.get()
        task = asyncio.create_task(splice(near, far))
        try:
            yield client, backend, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for link in (near, far):
                await link.close()
            for _, writer in (client, backend):
                writer.transport.abort()


def run(
    body: Callable[[Pair, Pair, asyncio.Task[None]], Awaitable[None]], loop: Callable[[], object]
) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), joined() as (client, backend, task):
            await body(client, backend, task)

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(whole())


@LOOPS
def test_bytes_go_both_ways_and_the_end_of_one_side_ends_it(loop: Callable[[], object]) -> None:
    async def body(client: Pair, backend: Pair, task: asyncio.Task[None]) -> None:
        client[1].write(b"ping")
        assert await backend[0].readexactly(4) == b"ping"
        backend[1].write(b"pong" * 100_000)
        backend[1].close()
        assert await client[0].readexactly(400_000) == b"pong" * 100_000
        await task

    run(body, loop)


async def flood(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 100_000)
        await writer.drain()


@LOOPS
def test_a_side_that_does_not_read_stops_the_other_and_its_end_is_noticed(
    loop: Callable[[], object],
) -> None:
    async def body(client: Pair, backend: Pair, task: asyncio.Task[None]) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(client[1]), 0.5)
        assert not task.done()
        client[1].transport.abort()
        backend[1].write(b"x")  # refused by the client's system: it has no such connection any more
        await task

    run(body, loop)
