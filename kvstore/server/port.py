"""A TCP port with or without TLS; one with TLS takes new certificates without closing.

`app` opens them: the client port (whose connections `front` sorts), ports for HTTP or gRPC alone, metrics.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvstore.server.certificates import Certificates
    from kvstore.server.urls import Url

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
FOLLOW_SECONDS = 1.0
BACKLOG = 1024


class Port:
    """`factory` makes the protocol of each connection; `alpn` is what TLS clients are offered."""

    def __init__(
        self,
        url: Url,
        factory: Callable[[], asyncio.Protocol],
        certificates: Certificates | None = None,
        alpn: tuple[str, ...] = (),
    ) -> None:
        self.url = url
        self._factory = factory
        self._certificates = certificates if url.secure else None
        self._alpn = alpn
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._follower: asyncio.Task[None] | None = None

    def bind(self) -> None:
        """Take the address; nobody is let in before `serve`. Raises OSError that names it."""
        host, port = self.url.bind_host, self.url.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"listen tcp {host}:{port}: {error.strerror}") from error

    @property
    def number(self) -> int:
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def serve(self) -> None:
        self._server = await self._listen()
        if self._certificates is not None:
            self._follower = asyncio.get_running_loop().create_task(self._follow(self._certificates))

    def close(self) -> None:
        """No new connections. Those that are there belong to their protocols' owners."""
        if self._follower is not None:
            self._follower.cancel()
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()

    async def _listen(self) -> asyncio.Server:
        assert self._socket is not None
        tls = self._certificates.context(self._alpn) if self._certificates is not None else None
        return await asyncio.get_running_loop().create_server(
            self._factory,
            sock=self._socket.dup(),
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls is not None else None,
        )

    async def _follow(self, certificates: Certificates) -> None:
        """New connections get certificates that changed; those that are there keep theirs."""
        seen = certificates.generation
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            if certificates.generation != seen:
                seen = certificates.generation
                old, self._server = self._server, await self._listen()
                if old is not None:
                    old.close()
