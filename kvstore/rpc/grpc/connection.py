"""One gRPC client's connection: which method a head asks for, and answers that need no waiting.

Made by `server` for each connection, or by whoever looked at the first bytes (`kvstore.server.front`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from kvstore.errors import Stopped
from kvstore.http2 import connection, frames
from kvstore.http2.frames import END_HEADERS, END_STREAM, MAX_FRAME
from kvstore.http2.hpack import Decoder, Header
from kvstore.http2.limits import Limits
from kvstore.rpc.grpc import answers
from kvstore.rpc.grpc.caller import common_name, peer_name, seconds
from kvstore.rpc.grpc.codes import Status, status_of
from kvstore.rpc.grpc.methods import Methods
from kvstore.rpc.grpc.stream import Stream

STREAM_WINDOW = 4 << 20
"""Bytes a client may send on a stream before they are read: more than a unary call's request may have."""
CONNECTION_WINDOW = 16 << 20
HEAD_BYTES = 64 << 10


def limits(max_streams: int = 10_000, ping_interval: float = 7200.0, ping_timeout: float = 20.0) -> Limits:
    """The defaults are etcd's, except for `max_streams`."""
    return Limits(max_streams, STREAM_WINDOW, CONNECTION_WINDOW, HEAD_BYTES, ping_interval, ping_timeout)


class Connection(connection.Connection[Mapping[str, str], Stream]):
    """`max_message`: bytes of one message that a client sends. `closed(connection)` is called once, when it is
    lost."""

    def __init__(
        self,
        methods: Methods,
        limits: Limits,
        max_message: int,
        closed: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        super().__init__(limits, Decoder(_by_name, limits.head))
        self.max_message = max_message
        self.peer = ""
        self.common_name: str | None = None
        self._methods, self._closed = methods, closed

    @property
    def name(self) -> str:
        return self.peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = peer_name(transport.get_extra_info("peername"))
        secure = transport.get_extra_info("ssl_object")
        self.common_name = common_name(secure.getpeercert()) if secure is not None else None
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closed(self)

    def end(self) -> None:
        """End all calls, and the connection."""
        for stream in list(self.streams.values()):
            stream.end(status_of(Stopped()))
        self.close()

    def opened(self, stream_id: int, head: Mapping[str, str], window: int, *, ended: bool) -> Stream | None:
        if not head.get("content-type", "").startswith("application/grpc"):
            flags = END_HEADERS | END_STREAM
            self.write(frames.frame(frames.HEADERS, flags, stream_id, answers.UNSUPPORTED_MEDIA))
            return None
        method = self._methods.find(head.get(":path", ""))
        if isinstance(method, Status):
            self.write(answers.trailers(stream_id, method, alone=True))
            if not ended:
                self.write(frames.reset(stream_id, frames.NO_ERROR))
            return None
        stream = self.streams[stream_id] = Stream(self, stream_id, method, head, window)
        timeout = head.get("grpc-timeout")
        if timeout is not None:
            self._set_deadline(stream, timeout)
        stream.begin()
        return stream

    def _set_deadline(self, stream: Stream, timeout: str) -> None:
        after = seconds(timeout)
        if after is not None:
            stream.deadline = self._loop.call_later(after, stream.expire)

    def answer(self, stream: Stream, body: bytes) -> None:
        """Send the only response and the end."""
        size = len(body) + answers.PREFIX
        if stream.done or stream.out or size > min(MAX_FRAME, self._window, stream.window):
            stream.out += answers.message(body)
            stream.end(None)
            return
        self._window -= size
        self.write(answers.unary(stream.id, body))
        self.forget(stream)


def _by_name(fields: list[Header]) -> Mapping[str, str]:
    """Of repeated ones, the values joined by commas."""
    found: dict[str, str] = {}
    for name, value in fields:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found
