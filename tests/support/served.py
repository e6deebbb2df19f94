"""One server over a store in memory, asked over real connections by a test that is not asynchronous itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
Answer = tuple[int, Mapping[str, str], bytes]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Server:
    """Server and client share a loop, which runs while the client asks."""

    def __init__(self, runner: asyncio.Runner, server: ApiServer, storage: MemoryStorage) -> None:
        self._runner = runner
        self._storage = storage
        self.server = server

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """In the loop of the server."""
        self._runner.run(work)

    def compact(self, revision: int) -> None:
        self._runner.run(self._storage.compact(revision))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {"Accept-Encoding": "identity"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._runner.run(asyncio.wait_for(self._ask(method, path, body, named), 20))

    async def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = f"https://127.0.0.1:{self.server.port}{path}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                method, url, data=data, headers=headers, ssl=False, allow_redirects=False
            ) as answer,
        ):
            return answer.status, answer.headers, await answer.read()

    def raw(self, sent: bytes) -> bytes:
        """The answer to bytes that need not be HTTP."""
        return self._runner.run(asyncio.wait_for(self._raw(sent), 20))

    async def _raw(self, sent: bytes) -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, ssl=context)
        writer.write(sent)
        answer = await reader.read(65536)
        writer.close()
        await writer.wait_closed()
        return answer

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, _, data = self.ask(method, path, body, **{"Content_Type": "application/json", **headers})
        assert status < 300, data
        return json.loads(data)


@contextmanager
def running(folder: Path, **config: Any) -> Iterator[Server]:
    chosen = ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=folder, **config)
    with asyncio.Runner() as runner:
        storage = MemoryStorage()
        server = ApiServer(chosen, storage)
        runner.run(server.start())
        try:
            yield Server(runner, server, storage)
        finally:
            runner.run(server.stop())


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, **metadata},
        "data": {"a": "1"},
    }
