"""Byte streams over connections that have left HTTP: after a 101 the bytes are the two sides' own affair.

`take_over` takes a server's connection away from aiohttp, `dial` opens one, `splice` joins two. Used by the API
server (`http.proxy.upgrade`) and by the kubelet's server (SPDY). Memory is bounded: a side that is not read is
not read from further than one buffer, and a side that vanished meanwhile is noticed all the same, because its
socket is asked directly (a paused transport does not look).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_CHUNK: Final = 64 * 1024
_LOOK_SECONDS: Final = 1.0  # how often a blocked writer asks whether the other side is still there
_TCP_INFO_BYTES: Final = 192
_TCPI_BYTES_ACKED: Final = 120  # offset in the kernel's struct tcp_info
_FLUSH_SECONDS: Final = 5.0  # how long a closed connection may take to send what is left


class ByteStream(Protocol):
    """`read` gives b"" at the end; `write` raises ConnectionError when there is nobody to write to."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def hung_up(self) -> bool: ...
    async def close(self) -> None: ...


class Link:
    """A connection as a :class:`ByteStream`. `source`: who is asked for life while a write is blocked."""

    def __init__(
        self, reader: asyncio.StreamReader, protocol: _Protocol, transport: asyncio.Transport
    ) -> None:
        self._reader, self._protocol = reader, protocol
        self._writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        self.source: Link | None = None
        keep_alive(self._writer.get_extra_info("socket"))

    async def read(self) -> bytes:
        try:
            return await self._reader.read(_CHUNK)
        except (OSError, ssl.SSLError):
            return b""

    async def read_head(self, limit: float) -> bytes:
        """An HTTP head with its empty line. Raises ConnectionError when none comes within `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                return await self._reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise ConnectionError("i/o timeout") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionError("unexpected EOF") from error

    async def read_exactly(self, count: int) -> bytes:
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._writer.drain()
                    return
            except TimeoutError:
                if self.source is not None and self.source.hung_up():
                    raise ConnectionResetError("the other side is gone") from None

    def hung_up(self) -> bool:
        if self._protocol.lost or self._writer.is_closing():
            return True
        sock = self._writer.get_extra_info("socket")
        return sock is not None and peer_closed(sock.fileno())

    async def close(self) -> None:
        """Returns at once; what is not sent soon is dropped."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        transport.close()
        task = asyncio.create_task(_see_off(self._writer), name="closing connection")
        _closing.add(task)
        task.add_done_callback(_closing.discard)


_closing: Final[set[asyncio.Task[None]]] = set()  # keeps the tasks alive


async def _see_off(writer: asyncio.StreamWriter) -> None:
    """Until all is sent. After that a reset, not an orderly end, which would wait behind the unsent bytes."""
    try:
        async with asyncio.timeout(_FLUSH_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        linger = struct.pack("ii", 1, 0)
        _set_options(writer.get_extra_info("socket"), {(socket.SOL_SOCKET, socket.SO_LINGER): linger})
        writer.transport.abort()
    except (OSError, ssl.SSLError):
        return


def keep_alive(sock: Any) -> None:
    """A machine that fell silent is noticed within minutes, as Go's connections do."""
    tcp = socket.IPPROTO_TCP
    options = {(tcp, socket.TCP_KEEPIDLE): 15, (tcp, socket.TCP_KEEPINTVL): 15, (tcp, socket.TCP_KEEPCNT): 9}
    _set_options(sock, {(socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1, **options})


def _set_options(sock: Any, options: Mapping[tuple[int, int], int | bytes]) -> None:
    """On the connection behind `sock`: uvloop gives a socket that has no setsockopt."""
    if sock is None or sock.fileno() < 0:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as same:
        for (level, name), value in options.items():
            same.setsockopt(level, name, value)


def bytes_acknowledged(sock: Any) -> int:
    """What the peer's kernel has taken so far; 0 if this one does not tell."""
    if sock is None or sock.fileno() < 0:
        return 0
    with contextlib.suppress(OSError, struct.error), socket.socket(fileno=os.dup(sock.fileno())) as same:
        info = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return int(struct.unpack_from("Q", info, _TCPI_BYTES_ACKED)[0])
    return 0


def peer_closed(fd: int) -> bool:
    if fd < 0:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))


async def dial(
    host: str, port: int, context: ssl.SSLContext | None, limit: float, server_name: str = ""
) -> Link:
    """`server_name`: that of the certificate, if it is not the host's. Raises OSError; a TimeoutError is one."""
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = _Protocol(reader)
    async with asyncio.timeout(limit):
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            host,
            port,
            ssl=context,
            server_hostname=(server_name or None) if context is not None else None,
        )
    return Link(reader, protocol, transport)


async def splice(one: Link, other: Link) -> None:
    """Copy both ways until either side ends, as the original does: there is no half-close."""
    one.source, other.source = other, one
    copies = [asyncio.ensure_future(_copy(one, other)), asyncio.ensure_future(_copy(other, one))]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(source: Link, target: Link) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await source.read():
            await target.write(data)


class Taken(web.StreamResponse):
    """What a handler returns for a connection it has taken over: nothing more is sent."""

    def __init__(self, status: int = 101) -> None:
        super().__init__(status=status)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        return None


class _Protocol(asyncio.StreamReaderProtocol):
    """Remembers that the connection is lost, and tells the protocol that had it `before`, which lets go of it."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol | None = None) -> None:
        super().__init__(reader)
        self._before = before
        self.lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        super().connection_lost(exc)
        if self._before is not None:
            self._before.connection_lost(exc)


def take_over(request: web.BaseRequest) -> Link:
    """The client's connection. Clients send nothing between their request and its 101, so nothing is lost.

    Raises ConnectionError if the client has gone already. Answer with :class:`Taken` afterwards.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = _Protocol(reader, transport.get_protocol())
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    with contextlib.suppress(RuntimeError):
        transport.resume_reading()
    return Link(reader, protocol, transport)
