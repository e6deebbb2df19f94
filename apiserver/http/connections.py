"""aiohttp's server with the limits of the original's: how large a head, how slow a client, how long idle.

    head larger than 1 MiB                431, or 414 when it is all request line; then the connection ends
    request line larger than 32 KiB       414: a selector so long takes seconds to read (the original takes 1 MiB)
    head not complete after 32 s          the connection ends, as it does when idle for 90 s
    no HTTP                               400
    an answer that nobody reads           the connection is cut when nothing was read for a while
    a peer that fell silent               found by keep-alive probes within minutes

Numbers as in apiserver's ``server/secure_serving.go``. Bodies are bounded by ``http.body`` and by the request timeout,
watches bound themselves. Also waits, at the server's end, for connections to be gone with all that was written to
them: a process that ends while a slow client still reads its last answer would cut it. Used by ``apiserver.server``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from apiserver.http.fanout import Piece
from apiserver.http.http2.connection import IDLE_SECONDS, MAX_STREAMS, Http2Connection, Owner
from apiserver.http.http2.connection import limits as http2_limits
from apiserver.http.http2.message import HEAD_BYTES, LINE_BYTES
from apiserver.http.tls import HTTP2
from apiserver.streaming import bytes_acknowledged, keep_alive

HEAD_SECONDS: Final = 32.0
STALLED_SECONDS: Final = 30.0
"""Looked at so often: no byte less to send than at the last look, and the connection is cut."""
_LARGE: Final = 32 * 1024  # smaller answers fit into the buffers
_HEADERS: Final = 4096


class Connections(web.Server):
    """``handshake_errors`` counts connections that ended before they spoke HTTP."""

    def __init__(self, handler: Any, *, max_streams: int = MAX_STREAMS, **options: Any) -> None:
        limits: dict[str, Any] = {
            "max_line_size": LINE_BYTES,
            "max_field_size": 2 * HEAD_BYTES,
            "max_headers": _HEADERS,
        }
        super().__init__(handler, keepalive_timeout=IDLE_SECONDS, **limits, **options)
        self._http2: set[Http2Connection] = set()
        self._http2_limits = http2_limits(max_streams)
        self._gone: asyncio.Event | None = None
        self.handshake_errors = 0

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def speak_http2(self, transport: asyncio.BaseTransport) -> None:
        """A new connection whose client chose it."""
        connection = Http2Connection(cast(Owner, self), self._http2_limits)
        self._http2.add(connection)
        cast(asyncio.Transport, transport).set_protocol(connection)
        connection.connection_made(transport)

    def http2_lost(self, lost: Http2Connection) -> None:
        self._http2.discard(lost)
        self._tell_gone()

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._tell_gone()

    def _tell_gone(self) -> None:
        if self._gone is not None and not self._are_some_left:
            self._gone.set()

    @property
    def _are_some_left(self) -> bool:
        return bool(self.connections or self._http2)

    async def closed(self, limit: float) -> bool:
        """Ends every connection once its request is answered; False if some are left after ``limit`` seconds."""
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.end()
        for one in list(self._http2):
            one.drain()
        if self._are_some_left:
            self._gone = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._gone.wait()
        return not self._are_some_left

    async def shutdown(self, timeout: float | None = None) -> None:
        for connection in list(self._http2):
            connection.cancel()
        await super().shutdown(timeout)


class Connection(RequestHandler):
    """An :class:`apiserver.http.fanout.Outlet`."""

    __slots__ = ("_connections", "_head", "_head_timer", "_line_ended", "_made", "when_lost")

    def __init__(self, connections: Connections, **options: Any) -> None:
        self._made = False
        self.when_lost: Callable[[], None] | None = None
        self._connections = connections
        super().__init__(connections, **options)
        self._head = 0  # bytes of a head that is not complete
        self._line_ended = False
        self._head_timer: asyncio.TimerHandle | None = None

    def __del__(self) -> None:
        if not self._made:
            self._connections.handshake_errors += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made = True
        secure = transport.get_extra_info("ssl_object")
        if secure is not None and secure.selected_alpn_protocol() == HTTP2:
            self._connections.speak_http2(transport)
            return
        super().connection_made(transport)
        keep_alive(transport.get_extra_info("socket"))
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_is_complete()
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    def give(self, piece: Piece) -> None:
        if self.transport is not None:
            self.transport.write(piece.chunk)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        waiting = not before or (self._waiter is not None and not self._waiter.done())
        super().data_received(data)
        if self._request_count != before:
            self._head_is_complete()
        elif waiting and data:
            self._head_grows(data)

    def end(self) -> None:
        """At once if it is idle, else with the answer that is under way."""
        if self._request_in_progress or self._messages:
            self.close()
        else:
            self.force_close()

    def _head_grows(self, data: bytes) -> None:
        self._head += len(data)
        self._line_ended = self._line_ended or b"\n" in data
        if self._head > HEAD_BYTES:
            self._refuse("431 Request Header Fields Too Large" if self._line_ended else "414 URI Too Long")
        elif self._head_timer is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def _head_is_complete(self) -> None:
        self._head, self._line_ended = 0, False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: str) -> None:
        """In the words of Go's server, which knows no more of a request that it did not read."""
        transport = self.transport
        if transport is not None:
            head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
            transport.write(f"HTTP/1.1 {status}\r\n{head}{status}".encode())
        self._head_is_complete()
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is no event for the log."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        too_long = isinstance(exc, LineTooLong)
        code, text = (414, "414 URI Too Long") if too_long else (400, "400 Bad Request")
        response = web.Response(text=text, status=code)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if not self.writing_paused and (getattr(resp, "content_length", None) or 0) < _LARGE:
            return await super().finish_response(request, resp, start_time)
        stall = _Stall(self.transport, self._loop)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            stall.over()


class _Stall:
    """Cuts a connection whose peer takes nothing: what a transport still holds says little under TLS, so the kernel
    is asked what the peer has acknowledged.
    """

    def __init__(self, transport: asyncio.Transport | None, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._taken = -1
        self._timer = loop.call_later(STALLED_SECONDS, self._look)

    def over(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        taken = bytes_acknowledged(self._transport.get_extra_info("socket"))
        if taken == self._taken:
            self._transport.abort()
            return
        self._taken = taken
        self._timer = self._loop.call_later(STALLED_SECONDS, self._look)
