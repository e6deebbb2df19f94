"""Watches over a real connection: many watchers, one that stops reading, and the end of the server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import unittest.mock
from collections.abc import Awaitable, Callable
from pathlib import Path

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.entry import CacheEvent
from apiserver.storage.memory import MemoryStorage

PREFIX = "/registry/configmaps/default/"
PATH = "/api/v1/namespaces/default/configmaps?watch=1"
Body = Callable[[ApiServer, MemoryStorage], Awaitable[None]]


def with_server(tmp_path: Path, body: Body) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        server = ApiServer(
            ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path), storage
        )
        await server.start()
        try:
            async with asyncio.timeout(30):
                await body(server, storage)
        finally:
            await server.stop()

    asyncio.run(main())


def config_map(name: str, size: int = 10) -> bytes:
    metadata = {"name": name, "namespace": "default"}
    return codec.encode(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "x" * size}}
    )


class Watch:
    """One watching client; it reads only when asked to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, server: ApiServer, query: str = "") -> Watch:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, limit=1 << 16)
        writer.write(f"GET {PATH}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def events(self, count: int) -> list[str]:
        """The names in the next events; fewer if the stream ends."""
        names: list[str] = []
        text = b""
        while len(names) < count and (size := int(await self._reader.readline(), 16)):
            text += await self._reader.readexactly(size)
            await self._reader.readline()
            *lines, text = text.split(b"\n")
            names += [codec.decode(line)["object"]["metadata"]["name"] for line in lines]
        return names

    async def rest(self) -> bytes:
        """Everything up to the end, with the framing of its chunks."""
        return await self._reader.readuntil(b"\r\n0\r\n\r\n")

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def test_every_watcher_gets_every_event_in_order(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        watches = await asyncio.gather(*(Watch.open(server) for _ in range(120)))
        names = [f"c{number}" for number in range(20)]
        for name in names:
            await storage.create(PREFIX + name, config_map(name))
        assert await asyncio.gather(*(watch.events(20) for watch in watches)) == [names] * 120
        await asyncio.gather(*(watch.close() for watch in watches))

    with_server(tmp_path, body)


def test_a_client_that_stops_reading_gets_all_later_and_holds_up_nobody(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        slow, quick = await Watch.open(server), await Watch.open(server)
        names = [f"c{number}" for number in range(150)]
        for name in names:  # 15 MB: far more than the buffers between the two hold
            await storage.create(PREFIX + name, config_map(name, 100_000))
            assert await quick.events(1) == [name]
        assert await slow.events(150) == names
        await asyncio.gather(slow.close(), quick.close())

    with_server(tmp_path, body)


def test_watches_end_cleanly_when_the_server_stops(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        watch = await Watch.open(server)
        server.services.stopping.begin()
        assert await watch.events(1) == []
        await watch.close()

    with_server(tmp_path, body)


def test_what_waits_for_the_next_round_is_written_before_the_end(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        watches = await asyncio.gather(*(Watch.open(server) for _ in range(60)))
        cache = server.services.caches.of("/registry/configmaps/")
        names = [f"c{number}" for number in range(5)]
        for name in names:  # the first goes out at once; the others come while the fan-out rests
            await storage.create(PREFIX + name, config_map(name))
            await cache.wait_until(storage.revision)
            await asyncio.sleep(0)
        server.services.stopping.begin()
        assert await asyncio.gather(*(watch.events(6) for watch in watches)) == [names] * 60
        await asyncio.gather(*(watch.close() for watch in watches))

    with_server(tmp_path, body)


def test_a_client_that_comes_while_much_is_there_gets_all_of_it_once(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        names = sorted(f"c{number}" for number in range(300))
        for name in names:
            await storage.create(PREFIX + name, config_map(name, 2000))
        opening = asyncio.create_task(Watch.open(server))
        while not opening.done():
            await storage.create(f"{PREFIX}z{storage.revision}", config_map(f"z{storage.revision}"))
            await asyncio.sleep(0)
        watch = await opening
        await storage.create(f"{PREFIX}zz", config_map("zz"))
        seen = await watch.events(300)
        while seen[-1] != "zz":
            seen += await watch.events(1)
        listed = [
            key.removeprefix(PREFIX) for key in (item.key for item in (await storage.list(PREFIX)).items)
        ]
        assert (seen[:300], sorted(seen)) == (names, sorted(listed))
        await watch.close()

    with_server(tmp_path, body)


def test_a_resumed_watch_skips_nothing_that_is_forgotten_while_its_past_is_read(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        first = await storage.create(PREFIX + "a", config_map("a"))
        await storage.create(PREFIX + "b", config_map("b"))
        cache = server.services.caches.of("/registry/configmaps/")
        cache._capacity = 4
        await cache.ready()
        read = cache.history

        async def long_reading(since: int, prefix: str) -> list[CacheEvent]:
            past = await read(since, prefix)
            for number in range(20):
                await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}"))
                await cache.wait_until(storage.revision)
            return past

        with unittest.mock.patch.object(cache, "history", long_reading):
            watch = await Watch.open(server, f"&resourceVersion={first}")
        assert b'"reason":"Expired"' in await watch.rest()
        await watch.close()

    with_server(tmp_path, body)


def test_a_watch_without_events_ends_when_its_client_is_gone(tmp_path: Path) -> None:
    async def body(server: ApiServer, storage: MemoryStorage) -> None:
        watch = await Watch.open(server)
        hub = server.services.fanout.of(server.services.caches.of("/registry/configmaps/"))
        while not hub.watched:  # noqa: ASYNC110  # turn by turn
            await asyncio.sleep(0)
        await watch.close()
        while hub.watched:  # noqa: ASYNC110  # the other end of a connection has no event for us
            await asyncio.sleep(0.001)

    with_server(tmp_path, body)
