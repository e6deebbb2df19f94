"""The failover endpoint over real sockets on free ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from components.cluster import failover
from components.cluster.failover import Failover

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Backend:
    """Says its name, then echoes until half-close, then says `bye`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> tuple[str, int]:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        return host, port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            writer.write(f"{self.name}\n".encode())
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write(b"bye\n")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


class World:
    def __init__(self, backends: list[Backend], endpoint: Failover, port: int) -> None:
        self.backends = backends
        self.endpoint = endpoint
        self.port = port

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def whom(self) -> str:
        reader, writer = await self.connect()
        name = (await reader.readline()).decode().strip()
        writer.close()
        return name


@asynccontextmanager
async def world(count: int = 2, ready_timeout: float = 5.0) -> AsyncIterator[World]:
    backends = [Backend(f"m{n}") for n in range(1, count + 1)]
    endpoint = Failover({b.name: await b.start() for b in backends}, ready_timeout=ready_timeout)
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    await endpoint.start(sock)
    try:
        yield World(backends, endpoint, sock.getsockname()[1])
    finally:
        await endpoint.stop()
        for backend in backends:
            backend.server.close()


def play(scene: Callable[[World], Awaitable[None]], count: int = 2, ready_timeout: float = 5.0) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), world(count, ready_timeout) as w:
            await scene(w)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as in the supervisor
        runner.run(main())


def test_only_ready_masters_are_used() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m2", True)
        assert {await w.whom() for _ in range(4)} == {"m2"}
        w.endpoint.set_ready("m2", False)
        w.endpoint.set_ready("m1", True)
        assert {await w.whom() for _ in range(4)} == {"m1"}

    play(scene)


def test_connections_spread_over_the_ready_masters() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        w.endpoint.set_ready("m2", True)
        streams = [await w.connect() for _ in range(6)]
        for reader, _ in streams:
            await reader.readline()
        assert w.endpoint.connections == {"m1": 3, "m2": 3}
        for _, writer in streams:
            writer.close()

    play(scene)


def test_a_connection_made_too_early_waits_for_the_first_ready_master() -> None:
    async def scene(w: World) -> None:
        reader, writer = await w.connect()
        writer.write(b"early\n")
        reading = asyncio.ensure_future(reader.readline())
        await asyncio.sleep(0)
        assert not reading.done()
        w.endpoint.set_ready("m1", True)
        assert await reading == b"m1\n"
        assert await reader.readline() == b"early\n"
        writer.close()

    play(scene)


def test_without_any_ready_master_the_connection_is_closed_after_a_while() -> None:
    async def scene(w: World) -> None:
        reader, writer = await w.connect()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

    play(scene, ready_timeout=0.05)


def test_the_connections_of_a_lost_master_are_cut_at_once_and_others_stay() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        lost_reader, lost_writer = await w.connect()
        await lost_reader.readline()
        w.endpoint.set_ready("m2", True)
        kept_reader, kept_writer = await w.connect()
        assert await kept_reader.readline() == b"m2\n"
        w.endpoint.set_ready("m1", False, answers=False)
        with suppress(ConnectionResetError):
            assert await lost_reader.read() == b""
        kept_writer.write(b"still here\n")
        assert await kept_reader.readline() == b"still here\n"
        lost_writer.close()
        kept_writer.close()

    play(scene)


def test_a_master_that_is_not_ready_for_a_moment_keeps_its_connections() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        assert await reader.readline() == b"m1\n"
        w.endpoint.set_ready("m2", True)
        w.endpoint.set_ready("m1", False)
        assert {await w.whom() for _ in range(4)} == {"m2"}
        w.endpoint.set_ready("m1", True)
        assert w.endpoint._cuts == {}
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        w.endpoint.set_ready("m1", False)
        assert await reader.read() == b""
        writer.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failover, "GRACE", 0.05)
        play(scene)


def test_a_master_that_falls_silent_while_it_is_not_ready_is_cut_at_once() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        assert await reader.readline() == b"m1\n"
        w.endpoint.set_ready("m1", False)
        w.endpoint.set_ready("m1", False, answers=False)
        assert await reader.read() == b""
        writer.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failover, "GRACE", 60.0)
        play(scene)


def test_a_master_that_refuses_is_passed_over() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        w.endpoint.set_ready("m2", True)
        w.backends[0].server.close()
        await w.backends[0].server.wait_closed()
        assert {await w.whom() for _ in range(4)} == {"m2"}

    play(scene)


def test_a_half_close_is_passed_on_and_the_answer_still_arrives() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        await reader.readline()
        writer.write(b"question\n")
        writer.write_eof()
        assert await reader.read() == b"question\nbye\n"
        writer.close()

    play(scene)


def test_a_slow_reader_is_not_buffered_without_bound() -> None:
    size = 64 << 20

    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        await reader.readline()
        sent = 0

        async def send() -> None:
            nonlocal sent
            block = b"x" * 65536
            while sent < size:
                writer.write(block)
                await writer.drain()
                sent += len(block)
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        done, _ = await asyncio.wait([sending], timeout=1.0)
        assert not done
        assert sent < size
        received = 0
        while data := await reader.read(1 << 20):
            received += len(data)
        await sending
        assert received == size + len(b"bye\n")
        writer.close()

    play(scene)


def test_stopping_closes_port_and_connections() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        await reader.readline()
        await w.endpoint.stop()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        try:
            await w.connect()
        except ConnectionRefusedError:
            return
        raise AssertionError("the port is still open")

    play(scene)


def test_a_draining_master_gets_no_new_connections_and_keeps_those_it_has() -> None:
    async def scene(w: World) -> None:
        w.endpoint.set_ready("m1", True)
        reader, writer = await w.connect()
        assert await reader.readline() == b"m1\n"
        w.endpoint.set_ready("m2", True)
        w.endpoint.set_ready("m1", False, draining=True)
        assert {await w.whom() for _ in range(4)} == {"m2"}
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        w.endpoint.cut("m1")
        assert await reader.read() == b""
        writer.close()

    play(scene)
