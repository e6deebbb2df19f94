"""One client's connection: frames in, frames out, flow control.

A protocol derives from it and says what a request is (`opened`). All bytes of a turn of the event loop leave in one
write, of long answers some in each turn. A client that does not read is not read from either, so what waits for it is
bounded by its windows.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Generic, TypeVar, cast

from kvstore.http2 import frames
from kvstore.http2.frames import (
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
from kvstore.http2.hpack import BadHeaders, Decoder
from kvstore.http2.keepalive import Keepalive
from kvstore.http2.limits import Limits
from kvstore.http2.stream import Stream

log = logging.getLogger(__name__)

TURN_BYTES = 256 << 10
"""What one turn of the event loop gives to the transport; a stream that used it up is the last one in the next."""

HeadT = TypeVar("HeadT")
StreamT = TypeVar("StreamT", bound=Stream)


class Connection(asyncio.Protocol, Generic[HeadT, StreamT]):
    """`decoder` says what a head is read as."""

    def __init__(self, limits: Limits, decoder: Decoder[HeadT]) -> None:
        self.streams: dict[int, StreamT] = {}
        self.limits = limits
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._greeted = self._paused = False
        self.draining = False
        self._last = 0
        self._decoder = decoder
        self._block: tuple[int, int, bytearray] | None = None
        self._window = self._initial_window = frames.WINDOW
        self._unreported = 0
        self._keepalive = Keepalive(limits, self._ping_client, self.abort)
        self._blocked: dict[int, StreamT] = {}
        self._out: list[bytes] = []
        self._left = TURN_BYTES
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

    # What a protocol says.

    @property
    def name(self) -> str:
        """Of the client, for the log."""
        raise NotImplementedError

    def opened(self, stream_id: int, head: HeadT, window: int, *, ended: bool) -> StreamT | None:
        """A request has begun, and has no body if it `ended` with its head; None if it was answered with frames
        alone."""
        raise NotImplementedError

    def emptied(self) -> None:
        """The last open stream is over."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        limits = self.limits
        self.write(
            frames.settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: limits.max_streams,
                    frames.INITIAL_WINDOW_SIZE: limits.stream_window,
                    frames.MAX_HEADER_LIST_SIZE: limits.head,
                }
            )
            + frames.window_update(0, limits.connection_window - frames.WINDOW)
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
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._unblock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._keepalive.stop()
        self._out.clear()
        streams, self.streams = self.streams, {}
        self._blocked.clear()
        for stream in streams.values():
            stream.over()

    # Its end.

    def drain(self) -> None:
        """No new requests; the client is told to make them elsewhere. Ends with the last open one."""
        if not self.draining:
            self.draining = True
            self.write(frames.goaway(self._last, frames.NO_ERROR))
        if not self.streams:
            self.close()

    def close(self) -> None:
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
        if self._unreported > self.limits.connection_window // 2:
            self.write(frames.window_update(0, self._unreported))
            self._unreported = 0
        stream = self.streams.get(stream_id)
        if stream is None:
            if stream_id > self._last or stream_id == 0:
                raise Broken(frames.PROTOCOL_ERROR, f"data on stream {stream_id}, which was not opened")
            return
        stream.received += len(payload)
        if stream.received > self.limits.stream_window:
            raise Broken(frames.FLOW_CONTROL_ERROR, f"more data on stream {stream_id} than allowed")
        if stream.half_closed:
            raise Broken(frames.STREAM_CLOSED, f"data on stream {stream_id} after its end")
        if flags & PADDED:
            payload = unpadded(payload)
        self._receive(stream, payload, flags)

    def _receive(self, stream: StreamT, payload: bytes, flags: int) -> None:
        end = bool(flags & END_STREAM)
        stream.half_closed = end
        stream.receive(payload, end=end)

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
        if len(block) > self.limits.head:
            raise Broken(frames.ENHANCE_YOUR_CALM, "the headers are too long")
        if flags & END_HEADERS:
            self._block = None
            self._open(stream_id, self._decoder.decode(bytes(block)), first)

    def _open(self, stream_id: int, head: HeadT, flags: int) -> None:
        known = self.streams.get(stream_id)
        if known is not None:  # the client's trailers, of which nobody makes use
            if not flags & END_STREAM or known.half_closed:
                raise Broken(frames.PROTOCOL_ERROR, f"headers in the middle of stream {stream_id}")
            self._receive(known, b"", flags)
            return
        if stream_id <= self._last:
            return  # of a stream that has ended here meanwhile
        if stream_id % 2 == 0:
            raise Broken(frames.PROTOCOL_ERROR, f"stream {stream_id} is not a client's")
        self._last = stream_id
        if self.draining or len(self.streams) >= self.limits.max_streams:
            self.write(frames.reset(stream_id, frames.REFUSED_STREAM))
            return
        ended = bool(flags & END_STREAM)
        stream = self.opened(stream_id, head, self._initial_window, ended=ended)
        if stream is not None and ended:
            self._receive(stream, b"", flags)

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.forget(stream)

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6 or stream_id:
            raise Broken(frames.FRAME_SIZE_ERROR, "settings that are none")
        window = frames.read_settings(payload).get(frames.INITIAL_WINDOW_SIZE)
        self.write(frames.frame(frames.SETTINGS, ACK, 0))
        if window is not None:
            self._resize(window)

    def _resize(self, window: int) -> None:
        if window > MAX_WINDOW:
            raise Broken(frames.FLOW_CONTROL_ERROR, "a window that is too large")
        more, self._initial_window = window - self._initial_window, window
        for stream in list(self.streams.values()):
            stream.window += more
            if stream.out:
                self.pump(stream)

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Broken(frames.FRAME_SIZE_ERROR, "a ping of other than 8 bytes")
        if not flags & ACK:
            self.write(frames.frame(frames.PING, ACK, 0, payload))

    def _ping_client(self) -> None:
        self.write(frames.frame(frames.PING, 0, 0, bytes(8)))

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
        """Priorities; a client that goes away, whose open requests go on."""

    # What streams call.

    def send(self, stream: StreamT, data: bytes) -> None:
        """Send the next bytes, or let them wait."""
        size = len(data)
        if stream.out or self._paused or size > min(MAX_FRAME, self._window, stream.window, self._left):
            stream.out += data
            self.pump(stream)
            return
        self._spend(stream, size)
        self.write(stream.head() + frames.data(stream.id, data))

    def pump(self, stream: StreamT) -> None:
        """Send what waits, as far as windows and the transport allow, and the end if the stream is `done`."""
        out = stream.out
        if out and (head := stream.head()):
            self.write(head)
        while out:
            size = min(len(out), MAX_FRAME, self._window, stream.window, self._left)
            if size <= 0 or self._paused:
                self._block_on_connection(stream)
                return
            self._spend(stream, size)
            last = stream.done and stream.ENDS_IN_DATA and size == len(out)
            with memoryview(out) as view:
                self.write(frames.data_head(stream.id, size, END_STREAM if last else 0), bytes(view[:size]))
            del out[:size]
            if last:
                self._finish(stream)
                return
        stream.sent()
        if stream.done:
            self._finish(stream, stream.tail())

    def consumed(self, stream: StreamT, size: int) -> None:
        """Of what the client sent on the stream, that much was read."""
        stream.consumed += size
        if stream.consumed > self.limits.stream_window // 2:
            stream.received -= stream.consumed
            self.write(frames.window_update(stream.id, stream.consumed))
            stream.consumed = 0

    def cut(self, stream: StreamT, error: int) -> None:
        """End the stream without the rest of its answer."""
        if stream.id in self.streams:
            self.write(frames.reset(stream.id, error))
            self.forget(stream)

    def forget(self, stream: StreamT) -> None:
        """It is over, whatever was sent of it."""
        self.streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        stream.over()
        if not self.streams:
            if self.draining:
                self._loop.call_soon(self.close)
            self.emptied()

    def write(self, *frames_: bytes) -> None:
        """Frames, in this turn of the event loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += frames_

    @property
    def is_full(self) -> bool:
        """The transport has more than it can send."""
        return self._paused

    # Inside.

    def _spend(self, stream: StreamT, size: int) -> None:
        self._window -= size
        stream.window -= size
        self._left -= size

    def _block_on_connection(self, stream: StreamT) -> None:
        """A stream whose own window is used up waits for that; others for their next turn."""
        if stream.window > 0:
            self._blocked[stream.id] = stream

    def _finish(self, stream: StreamT, tail: bytes = b"") -> None:
        if stream.id not in self.streams:
            return
        if tail:
            self.write(tail)
        if not stream.half_closed:
            self.write(frames.reset(stream.id, frames.NO_ERROR))
        self.forget(stream)

    def _unblock(self) -> None:
        """In turns, so that no stream starves."""
        blocked, self._blocked = self._blocked, {}
        for stream in blocked.values():
            self.pump(stream)

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._left = TURN_BYTES
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
            if self._blocked and self._window > 0 and not self._paused:
                self._loop.call_soon(self._unblock)

    def _fail(self, error: Broken) -> None:
        log.info("client %s: %s", self.name, error)
        self.write(frames.goaway(self._last, error.error, str(error)))
        self.close()
