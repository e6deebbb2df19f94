"""The client port: looks at the first bytes of a connection and pumps it to the gRPC or the HTTP server.

Both servers listen on private unix sockets of this process (`app` makes them) and speak TLS themselves where
the port is https, so that gRPC sees client certificates. etcd does the same with cmux. The pump copies nothing
it need not: what one side reads is written to the other, which stops reading while the other cannot keep up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from kvstore.server import clienthello
from kvstore.server.clienthello import Protocol

log = logging.getLogger(__name__)

DECIDE_SECONDS = 10.0
"""A connection that does not say what it is in this time is closed."""
BACKLOG = 1024
HIGH_WATER = 256 << 10


class Backends:
    """Where connections go: paths of unix sockets, and whether they begin with TLS."""

    def __init__(self, grpc: str, http: str, *, secure: bool) -> None:
        self.paths = {Protocol.GRPC: grpc, Protocol.HTTP: http}
        self.decide: Callable[[bytes], Protocol] = clienthello.tls if secure else clienthello.plain


class _Side(asyncio.Protocol):
    """One end of a pumped connection; `other` is set as soon as there is one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        other = self.other
        if other is not None and other.transport is not None:
            other.transport.write(data)

    def eof_received(self) -> bool:
        """Half-closes go through; the connection ends when both sides have."""
        other = self.other
        self.ended = True
        if other is None or other.ended or other.transport is None or other.transport.is_closing():
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other = self.other, None
        if other is not None and other.transport is not None:
            other.other = None
            if exc is None:
                other.transport.close()
            else:
                other.transport.abort()

    def pause_writing(self) -> None:
        other = self.other
        if other is not None and other.transport is not None and not other.transport.is_closing():
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        other = self.other
        if other is not None and other.transport is not None and not other.transport.is_closing():
            other.transport.resume_reading()


class _Client(_Side):
    """The outer side: keeps the first bytes until they say where the connection belongs."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._front = front
        self._head = b""
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._front.clients.add(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(DECIDE_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        self._head += data
        if self._connecting is None:
            protocol = self._front.backends.decide(self._head)
            if protocol is not Protocol.MORE:
                self._connect(protocol)

    def _connect(self, protocol: Protocol) -> None:
        assert self.transport is not None
        if self._timer is not None:
            self._timer.cancel()
        self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._open(self._front.backends.paths[protocol]))

    async def _open(self, path: str) -> None:
        inner = _Side()
        inner.other = self  # before it connects: gRPC's server speaks first
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: inner, path)
        except OSError as error:
            log.warning("a client's connection cannot be served: %s", error)
            self._give_up()
            return
        assert inner.transport is not None
        if self.transport is None or self.transport.is_closing():
            inner.other = None
            inner.transport.close()
            return
        self.other = inner
        inner.transport.write(self._head)
        self._head = b""
        self.transport.resume_reading()

    def eof_received(self) -> bool:
        return self.other is not None and super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.clients.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self.transport = None

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Front:
    """One listening client port."""

    def __init__(self, backends: Backends) -> None:
        self.backends = backends
        self.clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    async def bind(self, host: str, port: int) -> int:
        """The port that was bound; nobody is let in before `serve`. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Client(self), host, port, backlog=BACKLOG, start_serving=False
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def serve(self) -> None:
        assert self._server is not None
        await self._server.start_serving()

    def close_listener(self) -> None:
        """No new connections; those that are there go on until `stop`."""
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        self.close_listener()
        for client in list(self.clients):
            if client.transport is not None:
                client.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
