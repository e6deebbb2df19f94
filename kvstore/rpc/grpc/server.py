"""Listens for clients, and ends: what `kvstore.rpc.server` starts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from kvstore.http2.limits import Limits
from kvstore.rpc.grpc.connection import Connection
from kvstore.rpc.grpc.methods import Methods

BACKLOG = 1024
_CLOSE_SECONDS = 1.0


class GrpcServer:
    """`make_connection` is for connections that someone else has accepted."""

    def __init__(self, methods: Methods, limits: Limits, max_message: int) -> None:
        self._methods, self._limits, self._max_message = methods, limits, max_message
        self._connections: set[Connection] = set()
        self._idle = asyncio.Event()
        self._server: asyncio.Server | None = None

    def make_connection(self) -> Connection:
        connection = Connection(self._methods, self._limits, self._max_message, self._closed)
        self._connections.add(connection)
        return connection

    async def start(self, address: str, tls: ssl.SSLContext | None = None) -> int:
        """Listen on `host:port` or `unix:PATH`; the port, 0 for a path. Raises OSError."""
        loop = asyncio.get_running_loop()
        make: Callable[[], Connection] = self.make_connection
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            self._server = await loop.create_unix_server(make, path, ssl=tls, backlog=BACKLOG)
            return 0
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        self._server = await loop.create_server(make, host or None, int(port), ssl=tls, backlog=BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, grace: float) -> None:
        """New calls are refused at once; open ones get `grace` seconds, then the client is told that we stop."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drain()
        if not await self._gone(grace):
            for connection in list(self._connections):
                connection.end()
            if not await self._gone(_CLOSE_SECONDS):
                for connection in list(self._connections):
                    connection.abort()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _gone(self, seconds: float) -> bool:
        """Whether all connections are, by then."""
        self._idle.clear()
        if not self._connections:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()
