"""The protobuf wire format: bytes to (field number, wire type, value), fields of no interest included. Pure.

Complaints have the words of the original's generated code (gogo/protobuf), which clients get to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
_WORD: Final = (1 << 64) - 1
_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT: Final = 70  # bits: ten bytes of seven, those past 64 are dropped


class MalformedError(ValueError):
    """The bytes are not a message of the kind they are meant to be."""


def fields(data: bytes, message: str) -> Iterator[tuple[int, int, int | bytes]]:
    """Each field in the order of the bytes; fixed-size values and groups come as their raw bytes.

    Raises MalformedError, after the fields before the fault.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == END_GROUP:
            raise MalformedError(f"proto: {message}: wiretype end group for non-group")
        if not 0 < number < 1 << 31:
            number = signed(number, 32)
            if number <= 0:
                raise MalformedError(f"proto: {message}: illegal tag {number} (wire type {tag})")
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, wire, value
            continue
        start, at = _span(data, at, wire)
        yield number, wire, data[start:at]


def _span(data: bytes, at: int, wire: int) -> tuple[int, int]:
    """Where the value begins and ends."""
    if wire == BYTES:
        size, at = varint(data, at)
        if size >> 63:
            raise MalformedError("proto: negative length found during unmarshaling")
    elif wire == GROUP:
        return at, _end_of_group(data, at)
    elif wire in _FIXED:
        size = _FIXED[wire]
    else:
        raise MalformedError(f"proto: illegal wireType {wire}")
    if size > len(data) - at:
        raise MalformedError("unexpected EOF")
    return at, at + size


def _end_of_group(data: bytes, at: int) -> int:
    """Behind the end of a group; groups nest, so depth is counted, not recursed."""
    depth = 1
    while depth:
        tag, at = varint(data, at)
        wire = tag & 7
        if wire == VARINT:
            _, at = varint(data, at)
        elif wire == GROUP:
            depth += 1
        elif wire == END_GROUP:
            depth -= 1
        else:
            _, at = _span(data, at, wire)
    return at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(an unsigned 64-bit number, the position behind it)."""
    end = len(data)
    if at < end and data[at] < 0x80:  # most are one byte long
        return data[at], at + 1
    value, shift = 0, 0
    while shift < _LONGEST_VARINT:
        if at >= end:
            raise MalformedError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _WORD, at
        shift += 7
    raise MalformedError("proto: integer overflow")


def signed(value: int, bits: int) -> int:
    """The low bits, in two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
