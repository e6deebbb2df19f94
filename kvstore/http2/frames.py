"""(P) Frames as bytes: what `connection` sends, and the numbers of RFC 9113 it reads by."""

from __future__ import annotations

import struct

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


def head(stream: int, block: bytes, flags: int = 0) -> bytes:
    """A header block in as many frames as it needs."""
    if len(block) <= MAX_FRAME:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    found = [frame(HEADERS, flags, stream, parts[0])]
    found += [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join((*found, frame(CONTINUATION, END_HEADERS, stream, parts[-1])))


def data(stream: int, payload: bytes) -> bytes:
    return frame(DATA, 0, stream, payload)


def data_head(stream: int, size: int, flags: int = 0) -> bytes:
    """What comes before that much payload: large ones need not be copied behind it."""
    return _HEAD.pack(size >> 8, size & 0xFF, DATA, flags, stream)
