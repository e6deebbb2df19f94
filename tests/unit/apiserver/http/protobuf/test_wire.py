"""The wire format: what is read, what is skipped, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.http.protobuf import wire
from tests.unit.apiserver.http.protobuf.encoder import msg, num, varint


def read(data: bytes) -> list[tuple[int, int, int | bytes]]:
    return list(wire.fields(data, "Pod"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\x08\x96\x01", [(1, wire.VARINT, 150)]),
        (b"\x12\x07testing", [(2, wire.BYTES, b"testing")]),
        (b"\x0d\x01\x02\x03\x04\x10\x01", [(1, wire.FIXED32, b"\x01\x02\x03\x04"), (2, wire.VARINT, 1)]),
        (b"\x09" + bytes(8), [(1, wire.FIXED64, bytes(8))]),
        (
            b"\x0b\x13\x18\x01\x14\x0c\x20\x05",
            [(1, wire.GROUP, b"\x13\x18\x01\x14\x0c"), (4, wire.VARINT, 5)],
        ),
        (b"\x08" + b"\xff" * 9 + b"\x7f", [(1, wire.VARINT, 2**64 - 1)]),
    ],
)
def test_fields(data: bytes, expected: object) -> None:
    assert read(data) == expected


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x08", "unexpected EOF"),
        (b"\x80", "unexpected EOF"),
        (b"\x0a\x05abc", "unexpected EOF"),
        (b"\x0d\x01", "unexpected EOF"),
        (b"\x0b\x08", "unexpected EOF"),
        (b"\x0b" * 100_000, "unexpected EOF"),
        (b"\x08" + b"\xff" * 10, "proto: integer overflow"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "proto: negative length found during unmarshaling"),
        (b"\x0c", "proto: Pod: wiretype end group for non-group"),
        (b"\x02\x00", "proto: Pod: illegal tag 0 (wire type 2)"),
        (b"\x0e", "proto: illegal wireType 6"),
    ],
)
def test_malformed(data: bytes, complaint: str) -> None:
    with pytest.raises(wire.MalformedError) as failure:
        read(data)
    assert str(failure.value) == complaint


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**29 - 1))
def test_a_number_comes_back(value: int, number: int) -> None:
    ((found, kind, raw),) = read(num(number, value))
    assert isinstance(raw, int)
    assert (found, kind, wire.signed(raw, 64)) == (number, wire.VARINT, value)


@given(st.binary(max_size=300), st.integers(1, 2**29 - 1))
def test_bytes_come_back(value: bytes, number: int) -> None:
    assert read(msg(number, value)) == [(number, wire.BYTES, value)]


@given(st.integers(-(2**31), 2**31 - 1))
def test_signed_keeps_32_bits(value: int) -> None:
    raw, _ = wire.varint(varint(value), 0)
    assert wire.signed(raw, 32) == value
