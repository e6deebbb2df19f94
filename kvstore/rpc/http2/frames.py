"""(P) Frames as bytes: what `connection` sends, and the numbers of RFC 9113 it reads by."""

from __future__ import annotations

import struct

from kvstore.rpc.http2.codes import Status

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
MAX_FRAME = 16384
"""Bytes of a frame's payload, both ways: HTTP/2's default, and what every client takes."""
WINDOW = 65535
"""Bytes that may be sent on a stream or connection before the other side says more: HTTP/2's default."""
MAX_WINDOW = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, _, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, _, STREAM_CLOSED, FRAME_SIZE_ERROR = range(7)
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, _, ENHANCE_YOUR_CALM = range(7, 12)

_HEAD = struct.Struct(">HBBBI")
_LONG = struct.Struct(">I")
_SETTING = struct.Struct(">HI")


class Broken(Exception):
    """The client breaks the rules of HTTP/2: the connection ends with this error."""

    def __init__(self, error: int, text: str) -> None:
        super().__init__(text)
        self.error = error


def unpadded(payload: bytes) -> bytes:
    """Of a frame with the flag PADDED. Raises `Broken`."""
    length = payload[0] if payload else 0
    if length + 1 > len(payload):
        raise Broken(PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - length]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    length = len(payload)
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def read_settings(payload: bytes) -> dict[int, int]:
    return dict(_SETTING.iter_unpack(payload))


def window_update(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _LONG.pack(more))


def reset(stream: int, error: int) -> bytes:
    return frame(RST_STREAM, 0, stream, _LONG.pack(error))


def goaway(last: int, error: int, text: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, _LONG.pack(last) + _LONG.pack(error) + text.encode())


def _literal(name: str, value: bytes) -> bytes:
    """A field that is in no table; names and values are shorter than 127 bytes or get a longer length."""
    return b"\0" + _text(name.encode()) + _text(value)


def _text(data: bytes) -> bytes:
    length = len(data)
    if length < 127:
        return bytes((length,)) + data
    length -= 127
    encoded = bytearray(b"\x7f")
    while length > 127:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded) + data


_STATUS_200 = b"\x88"
_RESPONSE = _STATUS_200 + _literal("content-type", b"application/grpc")
_OK = _literal("grpc-status", b"0")
UNSUPPORTED_MEDIA = b"\x08\x03415"
"""`:status: 415`, the name being the static table's."""


def response_head(stream: int) -> bytes:
    """What comes before the first message."""
    return frame(HEADERS, END_HEADERS, stream, _RESPONSE)


def data(stream: int, payload: bytes) -> bytes:
    return frame(DATA, 0, stream, payload)


def data_head(stream: int, size: int) -> bytes:
    """What comes before that much payload: large ones need not be copied behind it."""
    return _HEAD.pack(size >> 8, size & 0xFF, DATA, 0, stream)


def message(body: bytes) -> bytes:
    """A message as gRPC puts it into the stream's data."""
    return b"\0" + _LONG.pack(len(body)) + body


def trailers(stream: int, status: Status | None, *, alone: bool = False) -> bytes:
    """The end of a call; None is OK. `alone`: nothing was sent before."""
    block = _OK if status is None else _failure(status)
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, _RESPONSE + block if alone else block)


def _failure(status: Status) -> bytes:
    code, text = status
    return _literal("grpc-status", b"%d" % code) + _literal("grpc-message", _percent(text))


def _percent(text: str) -> bytes:
    """gRPC's own percent-encoding of messages, cut so that the block fits one frame."""
    encoded = (
        bytes((b,)) if 0x20 <= b <= 0x7E and b != 0x25 else b"%%%02X" % b for b in text.encode()[:4000]
    )
    return b"".join(encoded)


def unary(stream: int, body: bytes) -> bytes:
    """A whole successful answer, where the windows allow it at once and it fits one frame."""
    size = len(body)
    head = _HEAD.pack((size + 5) >> 8, (size + 5) & 0xFF, DATA, 0, stream)
    return b"".join((response_head(stream), head, b"\0", _LONG.pack(size), body, trailers(stream, None)))
