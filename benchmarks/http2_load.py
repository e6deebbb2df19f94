"""The load generator's HTTP/2: many requests, or watches, on one connection, as Go's clients have them.

Frames are made before (`kvstore.http2`), so that it costs as little as `benchmarks.http_load`, of which it is the twin.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from benchmarks.http_load import Failed, Target
from kvstore.http2 import frames
from kvstore.http2.frames import END_STREAM, HEAD_BYTES, MAX_WINDOW
from kvstore.http2.hpack import Decoder, Header, literal

STREAMS = 100
"""Of the original's connections, at a time."""
_GREETING = (
    frames.PREFACE
    + frames.settings({frames.INITIAL_WINDOW_SIZE: MAX_WINDOW})
    + frames.window_update(0, MAX_WINDOW - frames.WINDOW)
)


def request(target: Target, path: str) -> bytes:
    """The head of a GET as a header block, in no need of tables."""
    fields = {
        ":method": "GET",
        ":scheme": "https",
        ":path": path,
        ":authority": f"{target.host}:{target.port}",
        "user-agent": "kuberaft-bench",
        "accept": "application/json",
    }
    if target.token:
        fields["authorization"] = f"Bearer {target.token}"
    return b"".join(literal(name, value.encode()) for name, value in fields.items())


@dataclass
class _Waiting:
    begun: asyncio.Future[int]
    on_data: Callable[[bytes], None] | None
    status: int = 0


class Connection(asyncio.Protocol):
    """`call` and `stream` as often at a time as the server allows."""

    def __init__(self) -> None:
        self._rest = b""
        self._next = 1
        self._waiting: dict[int, _Waiting] = {}
        self._decoder = Decoder(_status, 1 << 20)

    @classmethod
    async def open(cls, target: Target) -> Connection:
        """Raises `Failed` if the server does not speak HTTP/2."""
        loop, context = asyncio.get_running_loop(), cast(ssl.SSLContext, target.context)
        context.set_alpn_protocols(["h2"])
        try:
            transport, connection = await loop.create_connection(cls, target.host, target.port, ssl=context)
        finally:
            context.set_alpn_protocols(["http/1.1"])
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            raise Failed("the server does not speak HTTP/2")
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_GREETING)

    async def call(self, request: bytes) -> None:
        """Returns when the whole answer is there. Raises `Failed` if it is not 200."""
        await self._ask(request, None)

    async def stream(self, request: bytes, on_data: Callable[[bytes], None]) -> None:
        """Returns when the answer has begun; `on_data` gets what follows. Raises `Failed` if it is not 200."""
        await self._ask(request, on_data)

    async def _ask(self, request: bytes, on_data: Callable[[bytes], None] | None) -> None:
        stream, self._next = self._next, self._next + 2
        waiting = self._waiting[stream] = _Waiting(asyncio.get_running_loop().create_future(), on_data)
        self._transport.write(frames.head(stream, request, END_STREAM))
        status = await waiting.begun
        if status != 200:
            raise Failed(f"{status} instead of 200")

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            size = int.from_bytes(data[at : at + 3], "big")
            after = at + HEAD_BYTES + size
            if after > end:
                break
            stream = int.from_bytes(data[at + 5 : at + HEAD_BYTES], "big")
            self._frame(data[at + 3], data[at + 4], stream, data[at + HEAD_BYTES : after])
            at = after
        self._rest = data[at:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.SETTINGS and not flags & frames.ACK:
            self._transport.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif kind == frames.PING and not flags & frames.ACK:
            self._transport.write(frames.frame(frames.PING, frames.ACK, 0, payload))
        waiting = self._waiting.get(stream)
        if waiting is None:
            return
        if kind == frames.HEADERS:
            waiting.status = self._decoder.decode(payload)
        elif kind == frames.RST_STREAM:
            waiting.status = 0
        elif kind == frames.DATA and waiting.on_data is not None:
            waiting.on_data(payload)
        over = kind == frames.RST_STREAM or bool(kind in (frames.DATA, frames.HEADERS) and flags & END_STREAM)
        if (over or waiting.on_data is not None) and not waiting.begun.done():
            waiting.begun.set_result(waiting.status)
        if over:
            del self._waiting[stream]

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in self._waiting.values():
            if not waiting.begun.done():
                waiting.begun.set_exception(Failed(f"the connection was lost: {exc}"))


def _status(fields: list[Header]) -> int:
    return int(dict(fields)[b":status"])


async def open_many(
    target: Target, count: int, request: bytes, on_data: Callable[[bytes], None]
) -> list[Connection]:
    """Connections, each full of answers to `request` that have begun."""
    connections = []
    while count:
        connection = await Connection.open(target)
        streams = min(count, STREAMS)
        await asyncio.gather(*(connection.stream(request, on_data) for _ in range(streams)))
        connections.append(connection)
        count -= streams
    return connections


async def rate(target: Target, requests: Iterator[bytes], count: int, in_flight: int) -> float:
    """Answers per second over one connection with so many requests on their way."""
    connection = await Connection.open(target)
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await connection.call(next(requests))

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds = time.perf_counter() - started
    connection.close()
    return count / seconds
