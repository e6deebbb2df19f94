"""Forwards TCP connections of one frontend, byte for byte, with flow control and half-close.

`proxier` opens and closes a `TcpForwarder`; the forwarder asks its `Balancer` for targets. A target that
refuses is skipped and the next one tried. Connections to a removed endpoint are drained: they may finish
for `DRAIN_SECONDS`, then they are aborted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from components.proxy.balancer import Balancer
from components.proxy.rules import Backend, Target

log = logging.getLogger(__name__)

CONNECT_SECONDS = 1.0
DRAIN_SECONDS = 30.0


class _Side(asyncio.Protocol):
    """One end of a forwarded connection; `other` is the opposite end once both exist."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:  # always so: reading starts when both ends are joined
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other and self.other.transport and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True  # keep the opposite direction open

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other and self.other.transport:
            if error is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()
        if not self.lost.done():
            self.lost.set_result(None)

    def abort(self) -> None:
        if self.transport:
            self.transport.abort()


class TcpForwarder:
    """Serves one listening socket until `close`. Owns the socket and every connection it accepted."""

    def __init__(self, sock: socket.socket, backend: Backend) -> None:
        self._sock = sock
        self._balancer = Balancer(backend)
        self._loop = asyncio.get_running_loop()
        self._links: dict[asyncio.Task[None], Target | None] = {}
        self._accepting = self._loop.create_task(self._accept(), name="proxy-accept")
        self._drains: set[asyncio.TimerHandle] = set()

    def retarget(self, backend: Backend) -> None:
        """New connections follow `backend`; those to endpoints that are gone get time to finish."""
        gone = self._balancer.retarget(backend)
        if gone:
            self._drain({task for task, target in self._links.items() if target in gone})

    async def close(self) -> None:
        """Stop listening and abort what is open."""
        self._accepting.cancel()
        for handle in self._drains:
            handle.cancel()
        tasks = [self._accepting, *self._links]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()

    def _drain(self, tasks: set[asyncio.Task[None]]) -> None:
        def abort() -> None:
            self._drains.discard(handle)
            for task in tasks & self._links.keys():
                task.cancel()

        handle = self._loop.call_later(DRAIN_SECONDS, abort)
        self._drains.add(handle)

    async def _accept(self) -> None:
        while True:
            try:
                client, address = await self._loop.sock_accept(self._sock)
            except OSError as error:  # for example out of file descriptors: let some close, then go on
                log.warning("proxy cannot accept on %s: %s", self._balancer.backend.service, error)
                await asyncio.sleep(0.1)
                continue
            task = self._loop.create_task(self._serve(client, address[0]), name="proxy-connection")
            self._links[task] = None
            task.add_done_callback(self._links.pop)

    async def _serve(self, client: socket.socket, client_ip: str) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = await self._connect(client_ip)
        if upstream is None:
            _reset(client)
            return
        downstream = _Side()
        try:
            upstream.other, downstream.other = downstream, upstream
            await self._loop.connect_accepted_socket(lambda: downstream, client)
            assert upstream.transport is not None
            upstream.transport.resume_reading()
            await upstream.lost
            await downstream.lost
        finally:
            upstream.abort()
            downstream.abort()

    async def _connect(self, client_ip: str) -> _Side | None:
        """The first target that answers, paused until the client's side is attached."""
        task = asyncio.current_task()
        assert task is not None
        for target in self._balancer.order(client_ip, self._loop.time()):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, side = await self._loop.create_connection(_PausedSide, target.ip, target.port)
            except OSError as error:  # TimeoutError is one, too
                log.debug("endpoint %s:%d does not answer: %s", target.ip, target.port, error)
                continue
            self._links[task] = target
            self._balancer.connected(client_ip, target, self._loop.time())
            return side
        return None


class _PausedSide(_Side):
    """Reads nothing until the opposite end is attached."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        cast(asyncio.Transport, transport).pause_reading()


def _reset(client: socket.socket) -> None:
    """Close with RST, so that the client sees an error and not an empty answer."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
