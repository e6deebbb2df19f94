"""SPDY/3.1 frames to bytes and back (P): what kubectl speaks inside exec, attach and port-forward.

Used by `spdy.connection`. The decoder takes bytes as they come. A data frame may say 16 MiB: it is handed on piece
by piece, so that nothing is held but an unfinished control frame, and those are limited. Malformed input raises
`SpdyError`, after which the decoder must not be fed any more: the header compression is out of step.
Source: spdy-protocol-draft3-1, sections 2.2 and 2.6.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

Headers: TypeAlias = dict[str, list[str]]

_VERSION: Final = 3
_SYN_STREAM, _SYN_REPLY, _RST, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW = 1, 2, 3, 4, 6, 7, 8, 9
_FIN: Final = 1
_ID: Final = 0x7FFF_FFFF
_MAX_CONTROL: Final = 64 * 1024
_MAX_BLOCK: Final = 256 * 1024

REFUSED, CANCEL, INTERNAL = 3, 5, 6  # reasons of Reset


class SpdyError(Exception):
    """The other side does not speak SPDY/3.1."""


class SynStream(NamedTuple):
    stream: int
    headers: Headers
    fin: bool = False


class SynReply(NamedTuple):
    stream: int
    headers: Headers
    fin: bool = False


class HeadersFrame(NamedTuple):
    stream: int
    headers: Headers
    fin: bool = False


class Data(NamedTuple):
    """A whole data frame when encoded; when decoded, perhaps a piece of one (`fin` is on the last)."""

    stream: int
    data: bytes
    fin: bool = False


class Reset(NamedTuple):
    stream: int
    status: int


class Settings(NamedTuple):
    values: dict[int, int]


class Ping(NamedTuple):
    number: int


class GoAway(NamedTuple):
    last: int
    status: int = 0


class WindowUpdate(NamedTuple):
    stream: int
    delta: int


Frame: TypeAlias = (
    SynStream | SynReply | HeadersFrame | Data | Reset | Settings | Ping | GoAway | WindowUpdate
)


def _dictionary() -> bytes:
    """What both sides' header compression knows from the start: words with their length, then plain text."""
    parts = json.loads(Path(__file__).with_name("dictionary.json").read_text(encoding="ascii"))
    words = (word.encode() for word in parts["words"])
    tail: str = parts["tail"]
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + tail.encode()


DICTIONARY: Final = _dictionary()


class Encoder:
    """Keeps the state of the header compression: frames must be sent in the order they were encoded."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream, data, fin):
                return struct.pack(">II", stream, (fin * _FIN) << 24 | len(data)) + data
            case SynStream(stream, headers, fin):
                body = struct.pack(">IIH", stream, 0, 0) + self._block(headers)
                return _control(_SYN_STREAM, body, fin * _FIN)
            case SynReply(stream, headers, fin):
                return _control(_SYN_REPLY, struct.pack(">I", stream) + self._block(headers), fin * _FIN)
            case HeadersFrame(stream, headers, fin):
                return _control(_HEADERS, struct.pack(">I", stream) + self._block(headers), fin * _FIN)
            case Reset(stream, status):
                return _control(_RST, struct.pack(">II", stream, status))
            case Settings(values):
                entries = b"".join(struct.pack(">II", key, value) for key, value in values.items())
                return _control(_SETTINGS, struct.pack(">I", len(values)) + entries)
            case Ping(number):
                return _control(_PING, struct.pack(">I", number))
            case GoAway(last, status):
                return _control(_GOAWAY, struct.pack(">II", last, status))
            case WindowUpdate(stream, delta):
                return _control(_WINDOW, struct.pack(">II", stream, delta))

    def _block(self, headers: Mapping[str, list[str]]) -> bytes:
        out = [struct.pack(">I", len(headers))]
        for name, values in headers.items():
            for text in (name.lower(), "\0".join(values)):
                raw = text.encode("latin-1")
                out.append(struct.pack(">I", len(raw)) + raw)
        return self._compressor.compress(b"".join(out)) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8000 | _VERSION, kind, flags << 24 | len(body)) + body


class Decoder:
    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._in_data: tuple[int, int, bool] | None = None  # stream, bytes still to come, fin

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            if not isinstance(frame, _Skipped):
                frames.append(frame)
        return frames

    def _next(self) -> Frame | _Skipped | None:
        if self._in_data is not None:
            return self._data_piece(*self._in_data)
        if len(self._buffer) < 8:
            return None
        first, second = struct.unpack_from(">II", self._buffer)
        flags, length = second >> 24, second & 0xFF_FFFF
        if not first & 0x8000_0000:
            del self._buffer[:8]
            return self._data_piece(_stream(first), length, bool(flags & _FIN))
        if first >> 16 & 0x7FFF != _VERSION:
            raise SpdyError(f"version {first >> 16 & 0x7FFF} is not SPDY/3.1")
        if length > _MAX_CONTROL:
            raise SpdyError(f"a control frame of {length} bytes is too large")
        if len(self._buffer) < 8 + length:
            return None
        body = bytes(self._buffer[8 : 8 + length])
        del self._buffer[: 8 + length]
        return self._control_frame(first & 0xFFFF, flags, body)

    def _data_piece(self, stream: int, left: int, fin: bool) -> Frame | None:
        piece = bytes(self._buffer[:left])
        del self._buffer[:left]
        left -= len(piece)
        self._in_data = (stream, left, fin) if left else None
        if not piece and left:
            return None
        return Data(stream, piece, fin and not left)

    def _control_frame(self, kind: int, flags: int, body: bytes) -> Frame | _Skipped:
        fin = bool(flags & _FIN)
        try:
            match kind:
                case 1:
                    stream, _, _ = struct.unpack_from(">IIH", body)
                    return SynStream(_stream(stream), self._headers(body[10:]), fin)
                case 2:
                    return SynReply(_first(body), self._headers(body[4:]), fin)
                case 8:
                    return HeadersFrame(_first(body), self._headers(body[4:]), fin)
                case 3:
                    stream, status = struct.unpack(">II", body)
                    return Reset(_stream(stream), status)
                case 4:
                    return _settings(body)
                case 6:
                    return Ping(*struct.unpack(">I", body))
                case 7:
                    last, status = struct.unpack(">II", body)
                    return GoAway(last & _ID, status)
                case 9:
                    stream, delta = struct.unpack(">II", body)
                    return WindowUpdate(stream & _ID, delta & _ID)
        except struct.error as error:
            raise SpdyError(f"a frame of type {kind} has the wrong length") from error
        return _Skipped()

    def _headers(self, block: bytes) -> Headers:
        try:
            text = self._decompressor.decompress(block, _MAX_BLOCK)
        except zlib.error as error:
            raise SpdyError(f"headers: {error}") from error
        if self._decompressor.unconsumed_tail:
            raise SpdyError("headers are too large")
        return _parse_headers(text)


class _Skipped(NamedTuple):
    """A frame of a kind that is unknown here: to be ignored."""


def _first(body: bytes) -> int:
    number: int = struct.unpack_from(">I", body)[0]
    return _stream(number)


def _stream(number: int) -> int:
    number &= _ID
    if number == 0:
        raise SpdyError("stream id zero is disallowed")
    return number


def _settings(body: bytes) -> Settings:
    (count,) = struct.unpack_from(">I", body)
    if len(body) != 4 + 8 * count:
        raise struct.error("settings")
    pairs = struct.iter_unpack(">II", body[4:])
    return Settings({key & 0xFF_FFFF: value for key, value in pairs})


def _parse_headers(text: bytes) -> Headers:
    def take(position: int) -> tuple[str, int]:
        (size,) = struct.unpack_from(">I", text, position)
        end = position + 4 + size
        if end > len(text):
            raise struct.error("headers")
        return text[position + 4 : end].decode("latin-1"), end

    (count,) = struct.unpack_from(">I", text)
    position, found = 4, Headers()
    for _ in range(count):
        name, position = take(position)
        value, position = take(position)
        if name in found:
            raise SpdyError(f"header {name!r} appears twice")
        found[name] = value.split("\0")
    return found
