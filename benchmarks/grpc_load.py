"""A load generator that costs little beside what it measures: gRPC calls as pre-made HTTP/2 frames over asyncio.

It knows as much of HTTP/2 as two servers need (ours and grpc-go's): it keeps within their flow-control windows,
answers pings, and takes a stream that ends with headers for a call that was answered. An error comes without a
message, so a unary call that brought none has failed, and ends the measurement.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW = 65535
PLENTY = 1 << 30
_HEAD = struct.Struct(">HBBBI")


class Failed(Exception):
    """The server ended the connection or a call."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def headers(path: str) -> bytes:
    """A header block without references to a table, so that it is the same for every call."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "bench"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    data = text.encode()
    assert len(data) < 127
    return bytes((len(data),)) + data


def message(body: bytes) -> bytes:
    return b"\x00" + len(body).to_bytes(4, "big") + body


class Connection(asyncio.Protocol):
    """`on_end(stream)` is called for every call that was answered, `on_data(bytes)` for what streams bring."""

    def __init__(self) -> None:
        self.on_end: Callable[[int], None] = lambda stream: None
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.failure: Exception | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._next = 1
        self._window = WINDOW
        self._waiting: deque[bytes] = deque()
        self._unacknowledged = 0
        self._out: list[bytes] = []
        self._brought: set[int] = set()  # open streams that have brought a message

    @classmethod
    async def open(cls, endpoint: str) -> Connection:
        host, _, port = endpoint.rpartition(":")
        _, protocol = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        setting = struct.pack(">HI", 4, PLENTY)
        self._transport.write(
            PREFACE + frame(SETTINGS, 0, 0, setting) + frame(WINDOW_UPDATE, 0, 0, PLENTY.to_bytes(4, "big"))
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.failure = self.failure or Failed(f"the connection ended: {exc}")
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        self._transport.close()

    def call(self, head: bytes, body: bytes, *, end: bool = True) -> int:
        """Send a request when the server's window has room; its stream."""
        stream, self._next = self._next, self._next + 2
        start = frame(HEADERS, END_HEADERS, stream, head)
        data = frame(DATA, END_STREAM if end else 0, stream, body)
        if self._window < len(body) or self._waiting:
            self._waiting.append(start + data)
        else:
            self._window -= len(body)
            self._send(start + data)
        return stream

    def _send(self, data: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(buffer, at)
            end = at + 9 + (high << 8 | low)
            if end > len(buffer):
                break
            self._frame(kind, flags, stream & 0x7FFFFFFF, bytes(buffer[at + 9 : end]))
            at = end
        del buffer[:at]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self.on_data(payload)
            self._brought.add(stream)
            self._unacknowledged += len(payload)
            if self._unacknowledged > PLENTY // 2:
                self._send(frame(WINDOW_UPDATE, 0, 0, self._unacknowledged.to_bytes(4, "big")))
                self._unacknowledged = 0
        if kind in (DATA, HEADERS):
            if flags & END_STREAM:
                self._ended(stream, payload)
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._drain()
        elif kind == SETTINGS and not flags & ACK:
            self._send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._send(frame(PING, ACK, 0, payload))
        elif kind in (RST_STREAM, GOAWAY):
            self.failure = Failed(f"frame {kind} of stream {stream}: {payload!r}")
            self._transport.abort()

    def _ended(self, stream: int, trailers: bytes) -> None:
        if stream in self._brought:
            self._brought.discard(stream)
            self.on_end(stream)
        else:
            self.failure = Failed(f"stream {stream} was refused: {trailers!r}")
            self._transport.abort()

    def _drain(self) -> None:
        while self._waiting:
            size = len(self._waiting[0]) - 18 - int.from_bytes(self._waiting[0][:3], "big")
            if size > self._window:
                return
            self._window -= size
            self._send(self._waiting.popleft())


async def rate(
    endpoints: list[str], path: str, bodies: Callable[[int], bytes], in_flight: int, seconds: float
) -> tuple[float, list[float]]:
    """(calls a second, latencies in seconds) with so many calls under way all the time, over several connections."""
    connections = [
        await Connection.open(endpoints[number % len(endpoints)])
        for number in range(min(in_flight, max(len(endpoints), 8)))
    ]
    head = headers(path)
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    began: list[dict[int, float]] = [{} for _ in connections]
    latencies: list[float] = []
    number = running = 0
    stop_at = time.perf_counter() + seconds

    def start(which: int) -> None:
        nonlocal number, running
        number, running = number + 1, running + 1
        sent = time.perf_counter()
        began[which][connections[which].call(head, message(bodies(number)))] = sent

    def ended(which: int, stream: int) -> None:
        nonlocal running
        now = time.perf_counter()
        latencies.append(now - began[which].pop(stream))
        running -= 1
        if now < stop_at:
            start(which)
        elif not running and not over.done():
            over.set_result(None)

    for which, connection in enumerate(connections):
        connection.on_end = lambda stream, which=which: ended(which, stream)  # type: ignore[misc]
    started = time.perf_counter()
    for call in range(in_flight):
        start(call % len(connections))
    lost = [connection.closed for connection in connections]
    await asyncio.wait([over, *lost], return_when=asyncio.FIRST_COMPLETED, timeout=seconds + 30)
    elapsed = time.perf_counter() - started
    for connection in connections:
        if connection.failure is not None:
            raise connection.failure
        connection.close()
    if not over.done():
        raise Failed(f"{running} calls of {path} were not answered")
    return len(latencies) / elapsed, latencies
