"""A client of SPDY connections, plain or inside a WebSocket, for what no installed client speaks by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from components.kubelet.server.spdy.frames import (
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Reset,
    SynReply,
    SynStream,
)


class SpdyClient:
    """`read` gives the next bytes, b"" at the end; `write` sends some."""

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._read, self._write = read, write
        self._encoder, self._decoder = Encoder(), Decoder()
        self._next = 1
        self.received: dict[int, bytearray] = {}
        self.finished: set[int] = set()
        self.resets: set[int] = set()
        self.replied: set[int] = set()
        self.ended = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        while data := await self._read():
            for frame in self._decoder.feed(data):
                self._take(frame)
            self._changed.set()
        self.ended = True
        self._changed.set()

    def _take(self, frame: Frame) -> None:
        match frame:
            case Data(stream, data, fin):
                self.received.setdefault(stream, bytearray()).extend(data)
                self.finished |= {stream} if fin else set()
            case Reset(stream, _):
                self.resets.add(stream)
            case SynReply(stream, _, _):
                self.replied.add(stream)

    async def send(self, frame: Frame) -> None:
        await self._write(self._encoder.encode(frame))

    async def open(self, headers: dict[str, str]) -> int:
        """A new stream's number, without waiting for the reply."""
        number, self._next = self._next, self._next + 2
        named: Headers = {name: [value] for name, value in headers.items()}
        await self.send(SynStream(number, named))
        return number

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert not self.ended, (self.received, self.resets)
            self._changed.clear()
            await self._changed.wait()

    async def whole(self, stream: int) -> bytes:
        """Everything on the stream, once the server has finished it."""
        await self.until(lambda: stream in self.finished or stream in self.resets)
        return bytes(self.received.get(stream, b""))

    async def bye(self) -> None:
        await self.send(GoAway(0))


def over_websocket(ws: aiohttp.ClientWebSocketResponse) -> SpdyClient:
    async def read() -> bytes:
        message = await ws.receive()
        return message.data if message.type is aiohttp.WSMsgType.BINARY else b""

    return SpdyClient(read, ws.send_bytes)


def over_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> SpdyClient:
    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return SpdyClient(lambda: reader.read(65536), write)


async def upgraded(
    host: str, port: int, path: str, protocol: str
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain SPDY upgrade: the head of the answer and the connection."""
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(head.encode())
    return await reader.readuntil(b"\r\n\r\n"), reader, writer
