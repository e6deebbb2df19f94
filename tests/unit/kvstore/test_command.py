"""Commands survive the log byte for byte; anything else is an error value."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.auth.types import AuthRoleAddRequest, Credentials
from kvstore.command import Command, decode, encode
from kvstore.errors import InvalidCommand
from kvstore.types import Compare, CompareTarget, LeaseGrantRequest, PutRequest, RangeRequest, TxnRequest

NESTED = TxnRequest(
    (Compare(b"a", CompareTarget.MOD, mod_revision=7),),
    (PutRequest(b"a", b"\x00\xff", lease=3, prev_kv=True), TxnRequest(failure=(RangeRequest(b"b", b"\0"),))),
)


def test_what_is_encoded_is_decoded() -> None:
    assert decode(encode(Command(NESTED))) == Command(NESTED)


def test_a_field_added_by_a_later_version_is_ignored() -> None:
    request, *rest = cbor2.loads(encode(Command(PutRequest(b"a", b"1"))))
    assert decode(cbor2.dumps([[*request, "new"], *rest])) == Command(PutRequest(b"a", b"1"))


def test_another_format_is_refused() -> None:
    request, *_ = cbor2.loads(encode(Command(PutRequest(b"a", b"1"))))
    assert isinstance(decode(cbor2.dumps([request, 2])), InvalidCommand)


def test_a_log_from_before_there_were_users_is_read() -> None:
    request, *_ = cbor2.loads(encode(Command(PutRequest(b"a", b"1"))))
    assert decode(cbor2.dumps([request, 1])) == Command(PutRequest(b"a", b"1"))


def test_the_caller_travels_with_the_request() -> None:
    command = Command(AuthRoleAddRequest("r"), who=Credentials("root", 7))
    assert decode(encode(command)) == command


@pytest.mark.parametrize("request_", [LeaseGrantRequest(1 << 63), LeaseGrantRequest(1, -(1 << 63) - 1)])
def test_numbers_beyond_int64_are_refused(request_: LeaseGrantRequest) -> None:
    assert isinstance(decode(encode(Command(request_))), InvalidCommand)


@given(st.binary(max_size=60))
def test_noise_is_an_error_value(data: bytes) -> None:
    assert isinstance(decode(data), InvalidCommand)


@given(st.data())
def test_a_damaged_command_never_raises(data: st.DataObject) -> None:
    good = bytearray(encode(Command(NESTED)))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(good)), Command | InvalidCommand)
