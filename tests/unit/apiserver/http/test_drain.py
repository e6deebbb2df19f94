"""How a server ends: what a client sees on its connection, on a new one, and on a watch."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from apiserver.api import codec
from apiserver.config import ApiServerConfig
from apiserver.http.lifecycle import Lifecycle
from apiserver.server import ApiServer
from tests.support.slow_storage import SlowStorage
from tests.support.virtual_time import run_virtual

WATCH = "/api/v1/namespaces/default/configmaps?watch=1"
GET = "/api/v1/namespaces/default/configmaps/one"


class Client:
    """One connection."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def open(self) -> Client:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._server.port, ssl=context)
        return self

    def send(self, path: str) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def ask(self, path: str) -> str:
        """The head of the answer; its body is read, too."""
        self.send(path)
        head = await self.head()
        length = next(line for line in head.splitlines() if line.startswith("Content-Length"))
        await self.reader.readexactly(int(length.split()[1]))
        return head


def play(tmp_path: Path, scene: Callable[[ApiServer, SlowStorage], Awaitable[None]], delay: float) -> None:
    async def main() -> None:
        storage = SlowStorage("/configmaps/default/one")
        config = ApiServerConfig(
            bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path, shutdown_delay_duration=delay
        )
        server = ApiServer(config, storage)
        await server.start()
        await storage.create(
            "/registry/configmaps/default/one",
            codec.encode(
                {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "one", "namespace": "default"}}
            ),
        )
        try:
            async with asyncio.timeout(20):
                await scene(server, storage)
        finally:
            storage.let.set()
            await server.stop()

    asyncio.run(main())


def test_a_server_that_shuts_down_still_serves_and_sends_clients_away(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage) -> None:
        old, watching = await Client(server).open(), await Client(server).open()
        assert "Connection: close" not in await old.ask("/readyz")
        watching.send(WATCH)
        assert "200" in await watching.head()
        server.begin_shutdown()
        assert "200" in await old.ask("/livez")
        assert await old.reader.read() == b"", "the answer was the connection's last"
        new = await Client(server).open()
        head = await new.ask("/readyz")
        assert "500" in head
        assert "Connection: close" in head
        assert not watching.reader.at_eof(), "watches go on during the delay"
        await server.stop()
        assert (await watching.reader.read()).endswith(b"0\r\n\r\n"), "an end, not a cut"

    play(tmp_path, scene, delay=60)


def test_what_is_under_way_is_finished_and_nobody_new_is_let_in(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage) -> None:
        client = await Client(server).open()
        client.send(GET)
        await storage.asked.wait()
        ending = asyncio.create_task(server.drain())
        while True:
            try:
                (await Client(server).open()).writer.close()
            except ConnectionRefusedError:
                break
        assert not ending.done()
        storage.let.set()
        assert "200" in await client.head()
        await ending

    play(tmp_path, scene, delay=0)


def test_the_wait_for_requests_ends_with_the_last_or_with_patience() -> None:
    async def main() -> None:
        lifecycle = Lifecycle()
        assert await lifecycle.drained(0)
        with lifecycle.request():
            assert not await lifecycle.drained(5)
            waiting = asyncio.ensure_future(lifecycle.drained(5))
            await asyncio.sleep(1)
            assert not waiting.done()
        assert await waiting
        assert asyncio.get_running_loop().time() == 6

    run_virtual(main())
