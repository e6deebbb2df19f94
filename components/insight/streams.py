"""New records of all masters and kubelets as one stream, shared by everybody who looks.

While somebody looks, this master follows the journals of the others; with the last one gone it stops. Who cannot be
reached is tried again every second; nobody is told twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp

from apiserver.api.journal import Journal, Query
from apiserver.storage.interface import StorageError
from components.client.lines import LineSplitter
from components.insight.gather import Peer, Peers
from components.kubelet.server.records import PATH as RECORDS

log = logging.getLogger(__name__)
_AGAIN_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 15.0
_HEAD: Final = b'{"type":"RECORD","record":'


class RecordHub:
    """``subscribe`` as `Journal.subscribe`: the caller gets each new record encoded."""

    def __init__(self, journal: Journal, peers: Peers) -> None:
        self._journal, self._peers = journal, peers
        self._readers: list[Callable[[bytes], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._end_own: Callable[[], None] | None = None

    def subscribe(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        self._readers = [*self._readers, tell]
        if self._task is None:
            self._end_own = self._journal.subscribe(self._publish)
            self._task = asyncio.get_running_loop().create_task(self._follow_all(), name="records of others")

        def end() -> None:
            self._readers = [reader for reader in self._readers if reader is not tell]
            if not self._readers:
                self._stop()

        return end

    async def close(self) -> None:
        task = self._task
        self._stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    def _stop(self) -> None:
        if self._task is not None and self._end_own is not None:
            self._end_own()
            self._task.cancel()
            self._task = None

    def _publish(self, line: bytes) -> None:
        for tell in self._readers:
            tell(line)

    async def _follow_all(self) -> None:
        followed: dict[str, asyncio.Task[None]] = {}
        try:
            peers: dict[str, Peer] = {}
            while True:
                with suppress(StorageError):  # then those that are known
                    peers = {peer.url: peer for peer in await self._all()}
                for url, task in list(followed.items()):
                    if task.done() or url not in peers:
                        task.cancel()
                        del followed[url]
                for url, peer in peers.items():
                    if url not in followed:
                        followed[url] = asyncio.create_task(self._follow(peer), name=f"records of {url}")
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for task in followed.values():
                task.cancel()
            await asyncio.gather(*followed.values(), return_exceptions=True)

    async def _all(self) -> list[Peer]:
        return [*await self._peers.masters(), *await self._peers.kubelets(Query())]

    async def _follow(self, peer: Peer) -> None:
        """Until the connection ends: then the next round begins anew."""
        session = await self._peers.session()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=1.0, sock_read=_IDLE_SECONDS)
        path = f"{peer.url}{RECORDS}?watch=true&local=true"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.get(path, timeout=timeout) as response:
                if response.status != 200:
                    log.info("records of %s: it answered %d", peer.url, response.status)
                    return
                splitter = LineSplitter()
                async for chunk in response.content.iter_any():
                    for line in splitter.feed(chunk):
                        if line.startswith(_HEAD):
                            self._publish(bytes(line[len(_HEAD) : line.rindex(b"}")]))
