"""(P) Header blocks: HPACK (RFC 7541), read as clients send them, written without tables.

One `Decoder` for each connection, fed by `connection`. Clients repeat themselves: a block that leaves the dynamic
table as it is means the same again next time, so its meaning is remembered until the table changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

TABLE_BYTES = 4096
"""Of the dynamic table: HTTP/2's default, which is never changed by our settings."""
ENTRY_OVERHEAD = 32
"""Bytes that each field of a head counts beside its name and value."""
_REMEMBERED = 256
_REMEMBERED_BYTES = 4096  # a longer block, or what it says, is not kept: all together are bounded

Header = tuple[bytes, bytes]
T = TypeVar("T")

_STATIC: tuple[Header, ...] = tuple(HeaderTable.STATIC_TABLE)


class BadHeaders(Exception):
    """The block cannot be read; nor can any block after it."""


class Decoder(Generic[T]):
    """`meaning` makes of a head's fields what `decode` gives, which several requests may share. `most`: bytes of a
    decoded block, as a few bytes of input may name a long entry many times.

    Invariant: `_size` is that of all entries in `_dynamic` (newest first) and at most `_limit`."""

    def __init__(self, meaning: Callable[[list[Header]], T], most: int) -> None:
        self._meaning, self._most = meaning, most
        self._dynamic: list[Header] = []
        self._size = 0
        self._limit = TABLE_BYTES
        self._known: dict[bytes, T] = {}

    def decode(self, block: bytes) -> T:
        """Raises `BadHeaders`."""
        known = self._known.get(block)
        if known is not None:
            return known
        self._changed = False
        try:
            fields = self._fields(block)
        except (IndexError, HPACKDecodingError) as error:
            raise BadHeaders(str(error)) from error
        headers = self._meaning(fields)
        if self._changed or len(self._known) >= _REMEMBERED:
            self._known.clear()
        if not self._changed and max(len(block), sum(map(_weight, fields))) <= _REMEMBERED_BYTES:
            self._known[block] = headers
        return headers

    def _fields(self, block: bytes) -> list[Header]:
        fields: list[Header] = []
        at, end, size = 0, len(block), 0
        while at < end:
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 0x7F)
                field = self._entry(index)
            elif first & 0xE0 == 0x20:
                limit, at = _integer(block, at, 0x1F)
                self._resize(limit)
                continue
            else:
                index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
                name, at = (self._entry(index)[0], at) if index else _string(block, at)
                value, at = _string(block, at)
                field = (name, value)
                if first & 0x40:
                    self._add(field)
            fields.append(field)
            size += _weight(field)
            if size > self._most:
                raise BadHeaders(f"more than {self._most} bytes of headers")
        return fields

    def _entry(self, index: int) -> Header:
        if index == 0:
            raise BadHeaders("index 0")
        if index <= len(_STATIC):
            return _STATIC[index - 1]
        return self._dynamic[index - len(_STATIC) - 1]

    def _add(self, field: Header) -> None:
        self._dynamic.insert(0, field)
        self._size += _weight(field)
        self._evict()

    def _resize(self, limit: int) -> None:
        if limit > TABLE_BYTES:
            raise BadHeaders(f"a table of {limit} bytes was not offered")
        self._limit = limit
        self._evict()

    def _evict(self) -> None:
        self._changed = True
        while self._size > self._limit:
            self._size -= _weight(self._dynamic.pop())


def _weight(field: Header) -> int:
    return len(field[0]) + len(field[1]) + ENTRY_OVERHEAD


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """(value, where it ends); the value starts in the low bits of the byte at `at`."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise BadHeaders("a number of more than 32 bits")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    huffman = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise BadHeaders("a string longer than its block")
    data = block[at:end]
    return (decode_huffman(data) if huffman else data), end


def literal(name: str, value: bytes) -> bytes:
    """A field that is in no table, and comes into none."""
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
