"""(P) Answers as bytes: gRPC's heads, messages and trailers in frames of HTTP/2."""

from __future__ import annotations

from kvstore.http2.frames import END_HEADERS, END_STREAM, HEADERS, data_head, frame
from kvstore.http2.hpack import literal
from kvstore.rpc.grpc.codes import Status

PREFIX = 5
"""Bytes before a message that say how long it is."""

_STATUS_200 = b"\x88"
_RESPONSE = _STATUS_200 + literal("content-type", b"application/grpc")
_OK = literal("grpc-status", b"0")
UNSUPPORTED_MEDIA = b"\x08\x03415"
"""`:status: 415`, the name being the static table's."""


def response_head(stream: int) -> bytes:
    """What comes before the first message."""
    return frame(HEADERS, END_HEADERS, stream, _RESPONSE)


def prefix(body: bytes) -> bytes:
    """What comes before a message in the stream's data."""
    return b"\0" + len(body).to_bytes(4, "big")


def message(body: bytes) -> bytes:
    """A message as gRPC puts it into the stream's data."""
    return prefix(body) + body


def trailers(stream: int, status: Status | None, *, alone: bool = False) -> bytes:
    """The end of a call; None is OK. `alone`: nothing was sent before."""
    block = _OK if status is None else _failure(status)
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, _RESPONSE + block if alone else block)


def _failure(status: Status) -> bytes:
    code, text = status
    return literal("grpc-status", b"%d" % code) + literal("grpc-message", _percent(text))


def _percent(text: str) -> bytes:
    """gRPC's own percent-encoding of messages, cut so that the block fits one frame."""
    encoded = (
        bytes((b,)) if 0x20 <= b <= 0x7E and b != 0x25 else b"%%%02X" % b for b in text.encode()[:4000]
    )
    return b"".join(encoded)


def unary(stream: int, body: bytes) -> bytes:
    """A whole successful answer, where the windows allow it at once and it fits one frame."""
    head = data_head(stream, len(body) + PREFIX)
    return b"".join((response_head(stream), head, prefix(body), body, trailers(stream, None)))
