"""Clients that send too much, too slowly or no HTTP, and clients that do not read, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.http import connections
from apiserver.http.handlers import watch
from apiserver.server import ApiServer
from apiserver.storage.cacher import ResourceCache
from apiserver.storage.memory import MemoryStorage
from apiserver.streaming import bytes_acknowledged
from tests.support.virtual_time import run_virtual

MAPS = "/api/v1/namespaces/default/configmaps"
PREFIX = "/registry/configmaps/default/"
MIB = 1 << 20
CLIENTS: list[Client] = []  # of the scene that is played


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, server: ApiServer) -> Client:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = cls(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))
        CLIENTS.append(client)
        return client

    async def send(self, text: str) -> Client:
        self.writer.write(text.encode())
        await self.writer.drain()
        return self

    async def close(self) -> None:
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        self.writer.transport.abort()

    async def all(self) -> str:
        """Until the connection ends, however it does."""
        data = b""
        try:
            while more := await self.reader.read(65536):
                data += more
        except ConnectionError:
            pass
        return data.decode()


def play(
    tmp_path: Path, scene: Callable[[ApiServer, MemoryStorage], Awaitable[None]], **config: float
) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        server = ApiServer(
            ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path, **config),  # type: ignore[arg-type]
            storage,
        )
        await server.start()
        try:
            async with asyncio.timeout(20):
                await scene(server, storage)
        finally:
            while CLIENTS:
                await CLIENTS.pop().close()
            await server.stop()

    asyncio.run(main())


async def no_connections(server: ApiServer) -> None:
    """Returns when the server has none; real sockets have no virtual clock."""
    assert server._connections is not None
    while server._connections.connections:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def config_map(name: str, size: int) -> bytes:
    metadata = {"name": name, "namespace": "default"}
    return codec.encode(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "x" * size}}
    )


def test_heads_have_a_limit(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        async def answer(text: str) -> str:
            return await (await (await Client.open(server)).send(text)).all()

        field = "x" * 60_000
        fields = "".join(f"X-{n}: {field}\r\n" for n in range(17))
        close = "Connection: close\r\n\r\n"
        assert "200 OK" in await answer(f"GET /readyz HTTP/1.1\r\nHost: x\r\n{fields}{close}")
        found = await answer(f"GET /readyz HTTP/1.1\r\nHost: x\r\n{fields}X-More: {field}")
        assert found.startswith("HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert found.endswith("\r\n\r\n431 Request Header Fields Too Large")
        assert "200 OK" in await answer(f"GET /readyz?{'x' * 32_000} HTTP/1.1\r\nHost: x\r\n{close}")
        found = await answer(f"GET /readyz?{'x' * 33_000}")
        assert " 414 " in found
        assert found.endswith("\r\n\r\n414 URI Too Long")
        found = await answer("rubbish\r\n\r\n")
        assert " 400 Bad Request\r\n" in found
        assert found.endswith("\r\n\r\n400 Bad Request")

    play(tmp_path, scene)


def test_heads_have_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)

    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        silent, slow = await Client.open(server), await Client.open(server)
        assert await (await slow.send("GET /readyz HTTP/1.1\r\nHost:")).all() == ""
        assert await silent.all() == ""
        monkeypatch.setattr(connections, "HEAD_SECONDS", 30.0)
        quick = await Client.open(server)
        await quick.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await quick.reader.readuntil(b"\r\n\r\nok")
        assert server._connections is not None
        (connection,) = server._connections.connections
        assert isinstance(connection, connections.Connection)
        assert connection._head_timer is None, "idle is not slow"

    play(tmp_path, scene)


def test_bodies_have_a_limit(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client = await Client.open(server)
        await client.send(f"{head}Content-Length: {3 * MIB + 1}\r\n\r\n" + "x" * (3 * MIB + 1))
        found = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        assert "413" in found
        length = next(line for line in found.splitlines() if line.startswith("Content-Length"))
        status = codec.decode(await client.reader.readexactly(int(length.split()[1])))
        assert (status["code"], status["reason"], status["message"]) == (
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        )

    play(tmp_path, scene)


def test_bodies_have_a_time_limit(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client = await Client.open(server)
        await client.send(f"{head}Content-Length: 100\r\n\r\n{{")
        assert b"504" in await client.reader.readuntil(b"\r\n")

    play(tmp_path, scene, request_timeout=0.2)


def test_who_does_not_read_an_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.1)

    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        for number in range(24):
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}", MIB))
        client = await Client.open(server)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(f"GET {MAPS} HTTP/1.1\r\nHost: x\r\n\r\n")
        await no_connections(server)

    play(tmp_path, scene)


class Transport(asyncio.Transport):
    """Only looked at and cut."""

    cut_at: float | None = None

    def is_closing(self) -> bool:
        return self.cut_at is not None

    def abort(self) -> None:
        self.cut_at = asyncio.get_running_loop().time()


def test_who_reads_slowly_is_not_cut_and_who_stops_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_: object) -> int:
        return min(int(asyncio.get_running_loop().time()), 500)  # a byte a second, for 500 of them

    monkeypatch.setattr(connections, "bytes_acknowledged", taken)

    async def main() -> float | None:
        transport = Transport()
        stall = connections._Stall(transport, asyncio.get_running_loop())
        await asyncio.sleep(1000)
        stall.over()
        return transport.cut_at

    assert run_virtual(main()) == 540  # nothing new since the look at 510


def test_the_kernel_tells_what_was_taken() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        assert bytes_acknowledged(ours) == 0, "no TCP"
        ours.close()
        theirs.close()
        assert bytes_acknowledged(ours) == 0
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            server, _ = listening.accept()
            with client, server:
                before = bytes_acknowledged(client)
                client.sendall(b"x" * 1000)
                assert len(server.recv(1000, socket.MSG_WAITALL)) == 1000
                assert bytes_acknowledged(client) - before == 1000

    asyncio.run(main())


def test_a_watcher_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_WRITE_TIMEOUT", 0.2)

    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        client = await Client.open(server)
        await client.send(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        cache = server.services.caches.of("/registry/configmaps/")
        for number in range(24):  # one by one: a transport says only at the next write that it is full
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}", MIB))
            await cache.wait_current()
            await asyncio.sleep(0)
        await no_connections(server)

    play(tmp_path, scene)


def test_a_watcher_that_fell_behind_the_ring_is_dropped(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        caches = server.services.caches
        small = ResourceCache(storage, "/registry/configmaps/", capacity=4)
        caches._caches["/registry/configmaps/"] = small
        client = await Client.open(server)
        await client.send(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(40):
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}", MIB))
            await small.wait_current()
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        text = b""
        while not text.endswith(b"\r\n0\r\n\r\n"):
            text += await client.reader.read(MIB)
        assert 0 < text.count(b'"type":"ADDED"') < 40
        await small.close()

    play(tmp_path, scene)


def test_what_is_no_handshake_is_counted(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: MemoryStorage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        writer.close()
        await asyncio.sleep(0)
        gc.collect()  # counted when the connection's object goes
        assert server.services.metrics.handshake_errors() == 1

    play(tmp_path, scene)
