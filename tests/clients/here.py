"""An API server in a thread of the test's own process: real connections, and the test may hurt it.

Clients see nothing but its URL, or the kubeconfig. What the tests of clients need beside that is here: to forget the
past (compaction), and to cut every connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage
from tests.conformance.server import configuration

TOKEN = "admintoken"
_SECONDS = 30
T = TypeVar("T")


class Here:
    def __init__(self, folder: Path, **flags: Any) -> None:
        self.ca = folder / "apiserver.crt"
        self.kubeconfig = folder / "kubeconfig"
        self._storage = MemoryStorage()
        self._server = ApiServer(configuration(folder, **flags), self._storage)
        self._started, self._loop = threading.Event(), asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="api-server")

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(_SECONDS)
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._server.start()
        self._started.set()
        await self._over.wait()
        await self._cut()  # TLS would wait for clients to say goodbye
        await self._server.stop()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.port}"

    def _kubeconfig(self) -> dict[str, Any]:
        context = {"cluster": "c", "user": "u", "namespace": "default"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}
            ],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }

    def forget(self) -> None:
        """No revision but the present one can be read or watched from."""
        self._call(self._storage.compact(self._storage.revision))

    def cut(self) -> int:
        """End every connection as a failing network does; how many there were."""
        return self._call(self._cut())

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_SECONDS)

    async def _cut(self) -> int:
        assert self._server._runner is not None
        assert self._server._runner.server is not None
        connections = self._server._runner.server.connections
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        return len(connections)


@contextlib.contextmanager
def here(folder: Path, **flags: Any) -> Iterator[Here]:
    """Running, with what a cluster begins with."""
    found = Here(folder, **flags)
    found.start()
    try:
        yield found
    finally:
        found.stop()
