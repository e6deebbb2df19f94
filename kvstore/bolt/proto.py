"""Protocol Buffers by hand, for the few messages of a snapshot that are encoded by the million.

`kvstore.rpc.proto` has the same messages as classes, twice as slow to fill. Used by `kvstore.bolt.export` and `load`.
"""

from __future__ import annotations


def _short(number: int) -> bytes:
    low, high = number & 127, number >> 7
    return bytes((low | 128, high)) if high else bytes((low,))


TWO = 1 << 14
SHORT = [_short(number) for number in range(TWO)]
"""Numbers that take one byte or two, for loops that cannot afford a call each."""
_MORE = [bytes((number & 127 | 128, number >> 7 | 128)) for number in range(TWO)]
"""The lowest 14 bits of a number that goes on."""


def varint(number: int) -> bytes:
    """Of a number that is not negative; int64 values below zero are the caller's to make unsigned."""
    if number < TWO:
        return SHORT[number]
    return _MORE[number & TWO - 1] + varint(number >> 14)


def int64(number: int) -> bytes:
    return varint(number & 0xFFFFFFFFFFFFFFFF)


def integers(*fields: tuple[int, int]) -> bytes:
    """A message of integer fields (number, value); those of value 0 are left out."""
    return b"".join(varint(number << 3) + int64(value) for number, value in fields if value)


def read_integers(data: bytes) -> dict[int, int]:
    """The fields of a message that has none but integers. Raises `ValueError`."""
    numbers = []
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if shift > 70:
            raise ValueError("a number is too long")
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    if shift or len(numbers) % 2 or any(tag & 7 for tag in numbers[::2]):
        raise ValueError("not a message of integers")
    return {tag >> 3: number for tag, number in zip(numbers[::2], numbers[1::2], strict=True)}
