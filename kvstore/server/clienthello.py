"""(P) Which protocol a new connection speaks, from its first bytes; fed by `front`.

Plain: HTTP/2 begins with its connection preface (RFC 9113, 3.4), everything else is HTTP/1.1. TLS: a client that
offers by ALPN `h2` and not `http/1.1` is a gRPC client (curl and browsers offer both and are content with either); the
ClientHello (RFC 8446, 4.1.2) may be split over records. Malformed bytes go to HTTP, whose server closes them cleanly.
"""

from __future__ import annotations

from enum import Enum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS_END = b"\r\n\r\n"
"""An HTTP client is let in when its first request's headers are complete: a slow one occupies nobody but the front."""
MAX_HEAD = 64 << 10
HANDSHAKE, CLIENT_HELLO, ALPN = 22, 1, 16


class Protocol(Enum):
    MORE = "more bytes are needed"
    GRPC = "grpc"
    HTTP = "http"


class _Short(Exception):
    """The structure goes on after the last byte."""


def plain(data: bytes) -> Protocol:
    if data.startswith(PREFACE):
        return Protocol.GRPC
    if PREFACE.startswith(data):
        return Protocol.MORE
    return Protocol.HTTP if HEADERS_END in data or len(data) >= MAX_HEAD else Protocol.MORE


def tls(data: bytes) -> Protocol:
    try:
        offered = alpn(data)
        return Protocol.GRPC if b"h2" in offered and b"http/1.1" not in offered else Protocol.HTTP
    except _Short:
        return Protocol.MORE if len(data) < MAX_HEAD else Protocol.HTTP
    except ValueError:
        return Protocol.HTTP


def alpn(data: bytes) -> list[bytes]:
    """The protocols a ClientHello offers. Raises `ValueError` if it is none."""
    hello = _Reader(_handshake(data))
    hello.take(2 + 32)
    hello.vector(1)
    hello.vector(2)
    hello.vector(1)
    if not hello.left:
        return []
    extensions = _Reader(hello.vector(2), whole=True)
    while extensions.left:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == ALPN:
            names = _Reader(_Reader(content, whole=True).vector(2), whole=True)
            found = []
            while names.left:
                found.append(names.vector(1))
            return found
    return []


def _handshake(data: bytes) -> bytes:
    """The ClientHello's body, put together from its records."""
    message = bytearray()
    records = _Reader(data)
    while True:
        if records.number(1) != HANDSHAKE or records.number(1) != 3:
            raise ValueError("not a TLS handshake")
        records.take(1)
        message += records.vector(2)
        if len(message) >= 4:
            if message[0] != CLIENT_HELLO:
                raise ValueError("not a ClientHello")
            size = int.from_bytes(message[1:4], "big")
            if size > MAX_HEAD:
                raise ValueError("ClientHello too long")
            if len(message) >= 4 + size:
                return bytes(message[4 : 4 + size])


class _Reader:
    """Reads fields one after the other. `whole`: all of it is there, so that too few bytes are an error."""

    def __init__(self, data: bytes, *, whole: bool = False) -> None:
        self._data = data
        self._at = 0
        self._whole = whole

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("field too long") if self._whole else _Short
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """A length of `size` bytes and that many bytes."""
        return self.take(self.number(size))
