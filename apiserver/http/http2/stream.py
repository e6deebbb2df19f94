"""One request and its answer: for aiohttp, the protocol and the transport of a connection that nobody shares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from aiohttp import StreamReader, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict

from apiserver.http.fanout import Piece
from apiserver.http.http2 import message, writer
from kvstore.http2 import frames
from kvstore.http2 import stream as http2

log = logging.getLogger(__name__)

STALLED_SECONDS: Final = 30.0
"""Looked at so often: nothing more sent than at the last look, and the answer is broken off."""
_HIGH_WATER: Final = 64 << 10  # bytes that wait, above which writers do
_BODY_BUFFER: Final = 64 << 10

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RequestFactory = Callable[..., web.BaseRequest]


class Owner(Protocol):
    """The connection."""

    transport: asyncio.Transport | None

    def send(self, stream: Stream, data: bytes) -> None: ...
    def pump(self, stream: Stream) -> None: ...
    def consumed(self, stream: Stream, size: int) -> None: ...
    def cut(self, stream: Stream, error: int) -> None: ...
    def write(self, *frames_: bytes) -> None: ...
    def drain(self) -> None: ...
    def acknowledged(self) -> int: ...
    def stalled(self, stream: Stream) -> None: ...
    def served(self, stream: Stream) -> None: ...


class Stream(http2.Stream):
    """`transport` is this object while somebody may read the answer. `when_lost` is called once if that ends before
    the answer does."""

    ENDS_IN_DATA = True
    max_field_size = message.HEAD_BYTES
    max_headers = 4096
    _reading_paused = False

    __slots__ = (
        "_body",
        "_handled",
        "_owner",
        "_room",
        "_started",
        "_unread",
        "task",
        "transport",
        "when_lost",
    )

    def __init__(self, owner: Owner, stream_id: int, window: int, *, ended: bool) -> None:
        super().__init__(stream_id, window)
        self._owner = owner
        self.transport: Stream | None = self
        self.when_lost: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None
        self._body: StreamReader = EMPTY_PAYLOAD if ended else StreamReader(self, _BODY_BUFFER)  # type: ignore[arg-type]
        self._room: asyncio.Future[None] | None = None
        self._unread = -1  # bytes held back while reading is paused; -1: it is not
        self._started = self._handled = False

    async def serve(self, head: RawRequestMessage, make: RequestFactory, handler: Handler) -> None:
        """The request's whole life."""
        try:
            request = make(head, self._body, self, writer.StreamWriter(self), asyncio.current_task())
            response = await self._answered(request, handler)
            self._handled = True
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            log.debug("the client is gone")
        except Exception:
            log.exception("Unhandled exception")
        finally:
            self.abort()
            self._owner.served(self)

    async def _answered(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as response:
            return response
        except ConnectionError:
            raise
        except Exception:
            log.exception("Error handling request")
            if self._started:
                raise ConnectionResetError("the answer cannot be completed") from None
            return web.Response(status=500, text="500 Internal Server Error")

    # From the client.

    def receive(self, payload: bytes, *, end: bool) -> None:
        if self._body is EMPTY_PAYLOAD:
            return
        if payload:
            self._body.feed_data(payload)
            if self._unread < 0:
                self._owner.consumed(self, len(payload))
            else:
                self._unread += len(payload)
        if end:
            self._body.feed_eof()

    def over(self) -> None:
        if self.transport is None:
            return
        lost = not self.done or bool(self.out)
        self.transport, self.done = None, True
        self.out.clear()
        if not self.half_closed:
            self._body.set_exception(ConnectionResetError("the client is gone"))
        self.sent()
        if lost and self.when_lost is not None:
            self.when_lost()

    # The answer, as `writer` gives it.

    def send_head(self, status: int, headers: CIMultiDict[str]) -> None:
        self._check()
        self._started = True
        self._owner.write(frames.head(self.id, message.response(status, headers)))
        if message.ends_connection(headers):
            self._owner.drain()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self.done:
            self._owner.send(self, bytes(data))

    async def drain(self) -> None:
        """Wait until there is room. Raises ConnectionError when nobody reads any more."""
        self._check()
        while self.writing_paused:
            await self._wait()
            self._check()

    async def end(self, data: bytes) -> None:
        """The last bytes. Returns when all are on their way, or nobody takes them any more."""
        self._check()
        self.out += data
        self.done = True
        self._owner.pump(self)
        while self.out:
            await self._wait()

    def tail(self) -> bytes:
        return frames.frame(frames.DATA, frames.END_STREAM, self.id)

    def sent(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _wait(self) -> None:
        """For news of what waits to be sent. A handler that still runs has a time limit of its own."""
        if self._room is None or self._room.done():
            self._room = asyncio.get_running_loop().create_future()
        if not self._handled:
            await self._room
            return
        before = self._progress()
        with suppress(TimeoutError):
            async with asyncio.timeout(STALLED_SECONDS):
                await self._room
        if self.out and self._progress() == before:
            self._owner.stalled(self)

    def _check(self) -> None:
        if self.transport is None:
            raise ConnectionResetError("the client is gone")

    def _progress(self) -> tuple[int, int]:
        return len(self.out), self._owner.acknowledged()

    # A transport, as aiohttp and the handlers know it.

    def is_closing(self) -> bool:
        return self.transport is None or self.done

    def abort(self) -> None:
        """Break the answer off, so that the client sees that it is not whole."""
        self._owner.cut(self, frames.INTERNAL_ERROR)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        transport = self._owner.transport
        return default if transport is None else transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are what they are."""

    # A protocol.

    @property
    def ssl_context(self) -> Any:
        return self.get_extra_info("sslcontext")

    @property
    def peername(self) -> Any:
        return self.get_extra_info("peername")

    @property
    def sockname(self) -> Any:
        return self.get_extra_info("sockname")

    @property
    def connected(self) -> bool:
        return self.transport is not None

    @property
    def writing_paused(self) -> bool:
        return len(self.out) > _HIGH_WATER

    def give(self, piece: Piece) -> None:
        self.write(piece.data)

    def force_close(self) -> None:
        self.abort()

    def pause_reading(self) -> None:
        self._unread = max(self._unread, 0)

    def resume_reading(self, resume_parser: bool = True) -> None:
        held, self._unread = self._unread, -1
        if held > 0:
            self._owner.consumed(self, held)
