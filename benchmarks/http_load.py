"""A load generator that costs little beside what it measures: HTTP/1.1 over TLS with requests encoded before.

It knows as much of HTTP as an API server's answers need: a head, then a body of a known length or in chunks. One
request is on its way at a time on each connection. What is answered is counted, and looked at only where the measure
asks for it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from components.client.connect import ssl_context
from components.client.kubeconfig import ClientConfig

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_OPENING: Final = 16  # connections that are made at a time


class Failed(Exception):
    """The server ended the connection or answered with another status than was expected."""


@dataclass(frozen=True)
class Target:
    """Where requests go, and as whom."""

    host: str
    port: int
    context: ssl.SSLContext | None
    token: str = ""

    @classmethod
    def of(cls, config: ClientConfig) -> Target:
        url = urlsplit(config.server)
        context = ssl_context(config) if url.scheme == "https" else None
        return cls(url.hostname or "", url.port or 443, context, config.token or "")

    async def open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self.host, self.port, ssl=self.context)
        return connection

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> bytes:
        """The bytes of a request."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUser-Agent: kuberaft-bench\r\n"
            "Accept: application/json\r\n"
        )
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """`call` one request after the other, or `stream` one whose answer has no end."""

    def __init__(self) -> None:
        self.received = 0
        """Bytes of the last answer, head included."""
        self._head: bytearray | None = bytearray()
        self._left = 0
        self._status = 0
        self._waiter: asyncio.Future[int] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._body: list[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def call(self, request: bytes, expected: int = 200) -> None:
        """Returns when the whole answer is there. Raises `Failed`."""
        status = await self.status(request)
        if status != expected:
            raise Failed(f"{status} instead of {expected} for {request[:200]!r}")

    async def fetch(self, request: bytes, expected: int = 200) -> bytes:
        """The body of the answer. Raises `Failed`."""
        self._body = []
        try:
            await self.call(request, expected)
            return b"".join(self._body)
        finally:
            self._body = None

    async def stream(self, request: bytes, on_data: Callable[[bytes], None]) -> None:
        """Returns when the answer has begun; `on_data` gets what follows, the framing of chunks included."""
        self._on_data = on_data
        status = await self.status(request)
        if status != 200:
            raise Failed(f"{status} for {request[:200]!r}")

    def close(self) -> None:
        self._on_data = None
        self._transport.close()

    def status(self, request: bytes) -> asyncio.Future[int]:
        """Of the answer, once it is there."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._head, self.received = bytearray(), 0
        if self._transport.is_closing():
            self._fail("the connection was lost before")
        else:
            self._transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._head is not None:
            self._read_head(data)
        elif self._on_data is not None:
            self._on_data(data)
        else:
            self._read_body(data)

    def _read_head(self, data: bytes) -> None:
        assert self._head is not None
        self._head += data
        end = self._head.find(_END)
        if end < 0:
            return
        head, body = bytes(self._head[:end]).lower(), bytes(self._head[end + len(_END) :])
        self._head = None
        self._status = int(head[9:12])
        at = head.find(_LENGTH)
        if at < 0:
            if self._on_data is None:
                self._fail("an answer without a length")
                return
            self._finish()
            if body:
                self._on_data(body)
            return
        self._left = int(head[at + len(_LENGTH) :].split(b"\r", 1)[0])
        self._read_body(body)

    def _read_body(self, data: bytes) -> None:
        self._left -= len(data)
        if self._body is not None:
            self._body.append(data)
        if self._left <= 0:
            self._finish()

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._status)

    def _fail(self, text: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Failed(text))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")


class EventCounter:
    """Counts the events of a JSON watch in what arrives, however it is cut: each ends in the only line feed
    of its chunk that no carriage return goes before."""

    def __init__(self) -> None:
        self.events = 0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    def __call__(self, data: bytes) -> None:
        self.events += data.count(b"\n") - data.count(b"\r")
        if self._reached is not None and self.events >= self._wanted and not self._reached.done():
            self._reached.set_result(None)

    async def reached(self, events: int, seconds: float) -> None:
        """Returns when so many have been counted. Raises `Failed`."""
        self._wanted, self._reached = events, asyncio.get_running_loop().create_future()
        self(b"")
        try:
            async with asyncio.timeout(seconds):
                await self._reached
        except TimeoutError:
            raise Failed(f"{self.events} events instead of {events} within {seconds:.0f} s") from None


async def open_many(
    target: Target, count: int, request: bytes, on_data: Callable[[bytes], None]
) -> list[Connection]:
    """Connections whose answers to `request` have begun."""
    numbers, connections = iter(range(count)), list[Connection]()

    async def work() -> None:
        for _ in numbers:
            connection = await target.open()
            await connection.stream(request, on_data)
            connections.append(connection)

    await asyncio.gather(*(work() for _ in range(_OPENING)))
    return connections


async def rate(
    target: Target, requests: Iterator[bytes], count: int, in_flight: int, expected: int = 200
) -> float:
    """Answers per second over `in_flight` connections, each with one request on its way."""
    connections = [await target.open() for _ in range(in_flight)]
    numbers = iter(range(count))

    async def work(connection: Connection) -> None:
        for _ in numbers:
            await connection.call(next(requests), expected)

    started = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in connections))
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return count / seconds


async def median_ms(connection: Connection, request: bytes, times: int) -> float:
    """Of so many calls, one after the other, in milliseconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await connection.call(request)
        taken.append(1000 * (time.perf_counter() - started))
    return sorted(taken)[times // 2]
