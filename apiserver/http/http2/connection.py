"""One client's connection: heads become requests, each in a task of its own.

Limits are those of the original's ``server/secure_serving.go`` (streams, idle time) and of Go's server: whoever opens
and resets streams faster than they can end is cut off, and who asks for more than it takes is not read from.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol, cast

from aiohttp.http_parser import RawRequestMessage

from apiserver.http.http2 import message
from apiserver.http.http2.message import Refused
from apiserver.http.http2.stream import Handler, RequestFactory, Stream
from apiserver.streaming import bytes_acknowledged, keep_alive
from kvstore.http2 import connection, frames
from kvstore.http2.frames import END_STREAM, Broken
from kvstore.http2.hpack import Decoder, literal
from kvstore.http2.limits import Limits

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 90.0
MAX_STREAMS: Final = 100
"""At a time; a client opens another connection for more."""
_STREAM_WINDOW: Final = 256 << 10
_CONNECTION_WINDOW: Final = 4 << 20
_TASKS_PER_STREAM: Final = 4  # those whose streams were reset may still run


def limits(max_streams: int = MAX_STREAMS) -> Limits:
    return Limits(max_streams, _STREAM_WINDOW, _CONNECTION_WINDOW, 2 * message.HEAD_BYTES)


class Owner(Protocol):
    """The server: what answers requests, and who is told of the connection's end."""

    request_handler: Handler
    request_factory: RequestFactory

    def http2_lost(self, lost: Http2Connection) -> None: ...


class Http2Connection(connection.Connection[RawRequestMessage | Refused, Stream]):
    """`transport` is None once it is lost."""

    def __init__(self, owner: Owner, limits: Limits) -> None:
        super().__init__(limits, Decoder(message.request, limits.head))
        self.transport: asyncio.Transport | None = None
        self._owner = owner
        self._running: set[Stream] = set()
        self._idle: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        return str(self.transport.get_extra_info("peername")) if self.transport is not None else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        keep_alive(transport.get_extra_info("socket"))
        super().connection_made(transport)
        self.emptied()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._stop_idling()
        super().connection_lost(exc)
        self._owner.http2_lost(self)

    def emptied(self) -> None:
        self._stop_idling()
        if self.transport is not None:
            self._idle = self._loop.call_later(IDLE_SECONDS, self.drain)

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def cancel(self) -> None:
        """Nobody waits for the answers any more."""
        self.abort()
        for stream in self._running:
            if stream.task is not None:
                stream.task.cancel()

    def opened(
        self, stream_id: int, head: RawRequestMessage | Refused, window: int, *, ended: bool
    ) -> Stream | None:
        if isinstance(head, Refused):
            self._refuse(stream_id, head, ended=ended)
            return None
        if len(self._running) >= _TASKS_PER_STREAM * self.limits.max_streams:
            raise Broken(frames.ENHANCE_YOUR_CALM, "streams are opened and reset too fast")
        self._stop_idling()
        stream = self.streams[stream_id] = Stream(self, stream_id, window, ended=ended)
        self._running.add(stream)
        serving = stream.serve(head, self._owner.request_factory, self._owner.request_handler)
        stream.task = self._loop.create_task(serving)
        return stream

    def _refuse(self, stream_id: int, refused: Refused, *, ended: bool) -> None:
        if not refused.status:
            log.info("client %s: %s", self.name, refused.text)
            self.write(frames.reset(stream_id, frames.PROTOCOL_ERROR))
            return
        text = refused.text.encode()
        block = literal(":status", b"%d" % refused.status) + literal("content-type", b"text/plain")
        self.write(frames.head(stream_id, block), frames.frame(frames.DATA, END_STREAM, stream_id, text))
        if not ended:
            self.write(frames.reset(stream_id, frames.NO_ERROR))

    # What streams call.

    def served(self, stream: Stream) -> None:
        """Its task ends."""
        self._running.discard(stream)
        stream.task = None

    def acknowledged(self) -> int:
        """Bytes that the peer's kernel has taken so far, where that is what streams wait for; else 0."""
        if self.transport is None or not self.is_full:
            return 0
        return bytes_acknowledged(self.transport.get_extra_info("socket"))

    def stalled(self, stream: Stream) -> None:
        """Nothing of its answer was taken for long: a client that reads nothing at all would not read that either."""
        if self.is_full:
            self.abort()
        self.cut(stream, frames.CANCEL)
