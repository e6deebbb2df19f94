"""One client's HTTP/2 connection: frames in, frames out, flow control.

Made by `server` for each connection, or by whoever looked at the first bytes (`kvstore.server.front`). All bytes of a
turn of the event loop leave in one write. A client that does not read is not read from either, so what waits for it
is bounded by its windows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from kvstore.errors import Stopped
from kvstore.rpc.http2 import frames
from kvstore.rpc.http2.caller import common_name, peer_name, seconds
from kvstore.rpc.http2.codes import Status, status_of
from kvstore.rpc.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD_BYTES,
    MAX_FRAME,
    MAX_WINDOW,
    PADDED,
    PREFACE,
    PRIORITISED,
    Broken,
    unpadded,
)
from kvstore.rpc.http2.hpack import BadHeaders, Decoder, Headers
from kvstore.rpc.http2.keepalive import Keepalive
from kvstore.rpc.http2.limits import Limits
from kvstore.rpc.http2.methods import Methods
from kvstore.rpc.http2.stream import Stream

log = logging.getLogger(__name__)

STREAM_WINDOW = 4 << 20
"""Bytes a client may send on a stream before they are read: more than a unary call's request may have."""
CONNECTION_WINDOW = 16 << 20
_BLOCK_BYTES = 64 << 10


class Connection(asyncio.Protocol):
    """`closed(connection)` is called once, when it is lost."""

    def __init__(
        self, methods: Methods, limits: Limits, closed: Callable[[Connection], None] = lambda _: None
    ) -> None:
        self.max_message = limits.max_message
        self._limits = limits
        self.peer = ""
        self.common_name: str | None = None
        self.streams: dict[int, Stream] = {}
        self._methods, self._closed = methods, closed
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._greeted = self._draining = False
        self._last = 0
        self._decoder = Decoder()
        self._block: tuple[int, int, bytearray] | None = None
        self._window = self._initial_window = frames.WINDOW
        self._unreported = 0
        self._keepalive = Keepalive(limits, self._ping_client, self.abort)
        self._blocked: dict[int, Stream] = {}
        self._out: list[bytes] = []
        self._readers = (
            self._data,
            self._headers,
            self._ignore,
            self._rst_stream,
            self._settings,
            self._push_promise,
            self._ping,
            self._ignore,
            self._window_update,
            self._continuation,
        )

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = peer_name(transport.get_extra_info("peername"))
        secure = transport.get_extra_info("ssl_object")
        self.common_name = common_name(secure.getpeercert()) if secure is not None else None
        self._write(
            frames.settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: self._limits.max_streams,
                    frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: _BLOCK_BYTES,
                }
            )
            + frames.window_update(0, CONNECTION_WINDOW - frames.WINDOW)
        )
        self._keepalive.start()

    def data_received(self, data: bytes) -> None:
        self._keepalive.heard()
        if self._rest:
            data = self._rest + data
        try:
            self._rest = data[self._read(data) :]
        except Broken as error:
            self._fail(error)
        except BadHeaders as error:
            self._fail(Broken(frames.COMPRESSION_ERROR, str(error)))

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._keepalive.stop()
        self._out.clear()
        streams, self.streams = self.streams, {}
        self._blocked.clear()
        for stream in streams.values():
            stream.close()
        self._closed(self)

    # What the server calls.

    def drain(self) -> None:
        """No new calls; the client is told to make them elsewhere. Ends with the last open call."""
        if not self._draining:
            self._draining = True
            self._write(frames.goaway(self._last, frames.NO_ERROR))
        if not self.streams:
            self._close()

    def end(self) -> None:
        """End all calls, and the connection."""
        for stream in list(self.streams.values()):
            stream.end(status_of(Stopped()))
        self._close()

    def _close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Frames in.

    def _read(self, data: bytes) -> int:
        """Handle all whole frames; where they end."""
        at, end = 0, len(data)
        if not self._greeted:
            if not data.startswith(PREFACE[:end]):
                raise Broken(frames.PROTOCOL_ERROR, "this is not HTTP/2")
            if end < len(PREFACE):
                return 0
            self._greeted, at = True, len(PREFACE)
        while end - at >= HEAD_BYTES:
            size = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if size > MAX_FRAME:
                raise Broken(frames.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            start = at + HEAD_BYTES
            if start + size > end:
                break
            kind = data[at + 3]
            stream = int.from_bytes(data[at + 5 : start], "big") & 0x7FFFFFFF
            at = start + size
            if self._block is not None and kind != frames.CONTINUATION:
                raise Broken(frames.PROTOCOL_ERROR, "headers are interrupted")
            if kind < len(self._readers):
                self._readers[kind](data[start - 5], stream, data[start:at])
        return at

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._unreported += len(payload)
        if self._unreported > CONNECTION_WINDOW // 2:
            self._write(frames.window_update(0, self._unreported))
            self._unreported = 0
        stream = self.streams.get(stream_id)
        if stream is None:
            if stream_id > self._last or stream_id == 0:
                raise Broken(frames.PROTOCOL_ERROR, f"data on stream {stream_id}, which was not opened")
            return
        stream.received += len(payload)
        if stream.received > STREAM_WINDOW:
            raise Broken(frames.FLOW_CONTROL_ERROR, f"more data on stream {stream_id} than allowed")
        if stream.half_closed:
            raise Broken(frames.STREAM_CLOSED, f"data on stream {stream_id} after its end")
        if flags & PADDED:
            payload = unpadded(payload)
        stream.receive(payload, end=bool(flags & END_STREAM))

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & PRIORITISED:
            payload = payload[5:]
        if flags & END_HEADERS:
            self._open(stream_id, self._decoder.decode(payload), flags)
        else:
            self._block = (stream_id, flags, bytearray(payload))

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream_id:
            raise Broken(frames.PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._block
        block += payload
        if len(block) > _BLOCK_BYTES:
            raise Broken(frames.ENHANCE_YOUR_CALM, "the headers are too long")
        if flags & END_HEADERS:
            self._block = None
            self._open(stream_id, self._decoder.decode(bytes(block)), first)

    def _open(self, stream_id: int, headers: Headers, flags: int) -> None:
        open_stream = self.streams.get(stream_id)
        if open_stream is not None:  # the client's trailers, of which gRPC has none
            if not flags & END_STREAM or open_stream.half_closed:
                raise Broken(frames.PROTOCOL_ERROR, f"headers in the middle of stream {stream_id}")
            open_stream.receive(b"", end=True)
            return
        if stream_id <= self._last:
            return  # of a stream that has ended here meanwhile
        if stream_id % 2 == 0:
            raise Broken(frames.PROTOCOL_ERROR, f"stream {stream_id} is not a client's")
        self._last = stream_id
        if self._draining or len(self.streams) >= self._limits.max_streams:
            self._write(frames.reset(stream_id, frames.REFUSED_STREAM))
            return
        if not headers.get("content-type", "").startswith("application/grpc"):
            self._write(
                frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, stream_id, frames.UNSUPPORTED_MEDIA)
            )
            return
        method = self._methods.find(headers.get(":path", ""))
        if isinstance(method, Status):
            self._refuse(stream_id, method, flags)
            return
        stream = self.streams[stream_id] = Stream(self, stream_id, method, headers, self._initial_window)
        timeout = headers.get("grpc-timeout")
        if timeout is not None:
            self._set_deadline(stream, timeout)
        stream.begin()
        if flags & END_STREAM:
            stream.receive(b"", end=True)

    def _refuse(self, stream_id: int, status: Status, flags: int) -> None:
        self._write(frames.trailers(stream_id, status, alone=True))
        if not flags & END_STREAM:
            self._write(frames.reset(stream_id, frames.NO_ERROR))

    def _set_deadline(self, stream: Stream, timeout: str) -> None:
        after = seconds(timeout)
        if after is not None:
            stream.deadline = self._loop.call_later(after, stream.expire)

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._forget(stream)

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6 or stream_id:
            raise Broken(frames.FRAME_SIZE_ERROR, "settings that are none")
        window = frames.read_settings(payload).get(frames.INITIAL_WINDOW_SIZE)
        if window is not None:
            if window > MAX_WINDOW:
                raise Broken(frames.FLOW_CONTROL_ERROR, "a window that is too large")
            more, self._initial_window = window - self._initial_window, window
            for stream in self.streams.values():
                stream.window += more
        self._write(frames.frame(frames.SETTINGS, ACK, 0))
        self._unblock()

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Broken(frames.FRAME_SIZE_ERROR, "a ping of other than 8 bytes")
        if not flags & ACK:
            self._write(frames.frame(frames.PING, ACK, 0, payload))

    def _ping_client(self) -> None:
        self._write(frames.frame(frames.PING, 0, 0, bytes(8)))

    def _window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        more = int.from_bytes(payload, "big") & MAX_WINDOW
        if len(payload) != 4:
            raise Broken(frames.FRAME_SIZE_ERROR, "a window update of other than 4 bytes")
        if stream_id == 0:
            self._window += more
            if self._window > MAX_WINDOW:
                raise Broken(frames.FLOW_CONTROL_ERROR, "the window is too large")
            self._unblock()
            return
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.window += more
            self.pump(stream)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise Broken(frames.PROTOCOL_ERROR, "clients do not push")

    def _ignore(self, flags: int, stream_id: int, payload: bytes) -> None:
        """Priorities; a client that goes away, whose open calls go on."""

    # What streams call (`kvstore.rpc.http2.stream.Owner`).

    def answer(self, stream: Stream, body: bytes) -> None:
        size = len(body) + 5
        if stream.done or stream.out or size > MAX_FRAME or size > self._window or size > stream.window:
            stream.out += frames.message(body)
            stream.end(None)
            return
        self._window -= size
        self._write(frames.unary(stream.id, body))
        self._forget(stream)

    def send(self, stream: Stream, messages: bytes) -> None:
        size = len(messages)
        if not stream.started or stream.out or size > min(MAX_FRAME, self._window, stream.window):
            stream.out += messages
            self.pump(stream)
            return
        self._window -= size
        stream.window -= size
        self._write(frames.data(stream.id, messages))

    def pump(self, stream: Stream) -> None:
        out = stream.out
        if out and not stream.started:
            stream.started = True
            self._write(frames.response_head(stream.id))
        while out:
            size = min(len(out), MAX_FRAME, self._window, stream.window)
            if size <= 0:
                self._blocked[stream.id] = stream
                return
            self._window -= size
            stream.window -= size
            self._write(frames.data_head(stream.id, size))
            with memoryview(out) as view:
                self._write(bytes(view[:size]))
            del out[:size]
        stream.sent()
        if stream.done:
            self._finish(stream)

    def consumed(self, stream: Stream, size: int) -> None:
        stream.consumed += size
        if stream.consumed > STREAM_WINDOW // 2:
            stream.received -= stream.consumed
            self._write(frames.window_update(stream.id, stream.consumed))
            stream.consumed = 0

    # Inside.

    def _finish(self, stream: Stream) -> None:
        if stream.id not in self.streams:
            return
        self._write(frames.trailers(stream.id, stream.status, alone=not stream.started))
        if not stream.half_closed:
            self._write(frames.reset(stream.id, frames.NO_ERROR))
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        stream.close()
        if self._draining and not self.streams:
            self._loop.call_soon(self._close)

    def _unblock(self) -> None:
        """In turns, so that no stream starves."""
        blocked, self._blocked = self._blocked, {}
        for stream in blocked.values():
            self.pump(stream)

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None:
            self._transport.write(b"".join(out))

    def _fail(self, error: Broken) -> None:
        log.info("client %s: %s", self.peer, error)
        self._write(frames.goaway(self._last, error.error, str(error)))
        self._close()
