"""The server's end of one SPDY connection: streams that the client opens, each with a bounded buffer.

Stands between a byte stream (a connection taken over, or a WebSocket that carries one) and the handlers of
`remotecommand` and `portforward`. As in the original there is no flow control of its own for each stream: what is
not read from a stream stops the connection, and through it the client. GOAWAY is taken as the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from apiserver.streaming import ByteStream
from components.kubelet.server.spdy.frames import (
    CANCEL,
    REFUSED,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Ping,
    Reset,
    Settings,
    SpdyError,
    SynReply,
    SynStream,
)

_BUFFER: Final = 128 * 1024
_PIECE: Final = 32 * 1024
_LOOK_SECONDS: Final = 1.0
_MAX_STREAMS: Final = 1000


class Refused(Exception):
    """Raised by whoever is offered a stream: it is reset."""


class SpdyStream:
    """`read` gives b"" when the client has finished or given up (`was_reset`)."""

    def __init__(self, number: int, headers: Headers, connection: SpdyConnection) -> None:
        self.number, self.headers = number, headers
        self._connection = connection
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self.remote_closed = self.local_closed = self.was_reset = False

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), [""])[0]

    async def read(self) -> bytes:
        while not self._buffer and not self.remote_closed:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._buffer)
        self._buffer.clear()
        self._changed.set()
        return data

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the stream is closed or the client is gone."""
        if self.local_closed:
            raise BrokenPipeError("the stream is closed")
        for start in range(0, len(data), _PIECE):
            await self._connection.send(Data(self.number, data[start : start + _PIECE]))

    async def close(self) -> None:
        """No more will be written."""
        if not self.local_closed:
            self.local_closed = True
            await self._connection.send(Data(self.number, b"", fin=True))
            self._connection.forget(self)

    async def reset(self) -> None:
        """Neither side uses it any more."""
        if not (self.local_closed and self.remote_closed):
            self.end(reset=True)
            await self._connection.send(Reset(self.number, CANCEL))
            self._connection.forget(self)

    async def take(self, data: bytes, fin: bool) -> None:
        """What arrived; waits while the reader lags behind. Raises ConnectionError if the client vanishes."""
        if not self.remote_closed:
            self._buffer += data
            self.remote_closed = fin
            self._changed.set()
        while len(self._buffer) > _BUFFER:
            self._changed.clear()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                await self._connection.check()

    def end(self, *, reset: bool) -> None:
        self.was_reset = self.was_reset or reset
        self.remote_closed = self.local_closed = True
        self._buffer.clear()
        self._changed.set()


class SpdyConnection:
    """`offered(stream)` may raise :class:`Refused`; streams it takes are read and written by others meanwhile."""

    def __init__(self, link: ByteStream, offered: Callable[[SpdyStream], None]) -> None:
        self._link, self._offered = link, offered
        self._encoder, self._decoder = Encoder(), Decoder()
        self._streams: dict[int, SpdyStream] = {}
        self._last = 0

    async def run(self) -> None:
        """Until the client goes, or says something that is not SPDY."""
        try:
            while data := await self._link.read():
                for frame in self._decoder.feed(data):
                    if isinstance(frame, GoAway):
                        return
                    await self._handle(frame)
        except SpdyError:
            with contextlib.suppress(ConnectionError):
                await self.send(GoAway(self._last, 1))
        except ConnectionError:
            return
        finally:
            for stream in list(self._streams.values()):
                stream.end(reset=True)
            self._streams.clear()

    async def _handle(self, frame: Frame) -> None:
        match frame:
            case SynStream():
                await self._open(frame)
            case Data(number, data, fin):
                stream = self._streams.get(number)
                if stream is not None:
                    await stream.take(data, fin)
                    self.forget(stream)
            case Reset(number, _):
                gone = self._streams.pop(number, None)
                if gone is not None:
                    gone.end(reset=True)
            case Ping(number) if number % 2:
                await self.send(frame)
            case _:
                pass  # settings, windows and replies change nothing here

    async def _open(self, frame: SynStream) -> None:
        if frame.stream % 2 == 0 or frame.stream <= self._last:
            raise SpdyError(f"stream {frame.stream} after {self._last}")
        self._last = frame.stream
        stream = SpdyStream(frame.stream, frame.headers, self)
        stream.remote_closed = frame.fin
        try:
            if len(self._streams) >= _MAX_STREAMS:
                raise Refused("too many streams")
            self._offered(stream)
        except Refused:
            await self.send(Reset(frame.stream, REFUSED))
            return
        self._streams[frame.stream] = stream
        await self.send(SynReply(frame.stream, {}))

    def forget(self, stream: SpdyStream) -> None:
        """Streams that both sides have finished need not be known any more."""
        if stream.remote_closed and stream.local_closed:
            self._streams.pop(stream.number, None)

    async def send(self, frame: Frame) -> None:
        # Encoding and the first part of the write happen without a pause: the order is that of the calls.
        await self._link.write(self._encoder.encode(frame))

    async def check(self) -> None:
        """While nothing is read from a client only its own system can tell that it is gone: it refuses what it is
        sent. Empty settings are such a thing that no client answers; an answer might wait for us in turn."""
        if self._link.hung_up():
            raise ConnectionResetError("the client is gone")
        await self.send(Settings({}))
