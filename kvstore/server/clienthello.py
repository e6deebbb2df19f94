"""(P) Which protocol a new connection speaks, from its first bytes; fed by `front`.

Plain: HTTP/2 begins with its connection preface (RFC 9113, 3.4), everything else is HTTP/1.1. TLS: a client that
offers `h2` by ALPN is a gRPC client, as in etcd; the ClientHello (RFC 8446, 4.1.2) may be split over records.
Malformed bytes are nobody's: they go to HTTP, whose server closes them cleanly.
"""

from __future__ import annotations

from enum import Enum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_HELLO = 64 << 10
HANDSHAKE, CLIENT_HELLO, ALPN = 22, 1, 16


class Protocol(Enum):
    MORE = "more bytes are needed"
    GRPC = "grpc"
    HTTP = "http"


class _Short(Exception):
    """The structure goes on after the last byte."""


def plain(data: bytes) -> Protocol:
    if data.startswith(PREFACE[: len(data)]):
        return Protocol.GRPC if len(data) >= len(PREFACE) else Protocol.MORE
    return Protocol.GRPC if data.startswith(PREFACE) else Protocol.HTTP


def tls(data: bytes) -> Protocol:
    try:
        return Protocol.GRPC if b"h2" in alpn(data) else Protocol.HTTP
    except _Short:
        return Protocol.MORE if len(data) < MAX_HELLO else Protocol.HTTP
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
            if size > MAX_HELLO:
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
