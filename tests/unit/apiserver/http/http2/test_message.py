"""Heads of HTTP/2 as requests of aiohttp's, and answers as header blocks."""

from __future__ import annotations

import pytest
from aiohttp.http_parser import RawRequestMessage
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from apiserver.http.http2 import message
from apiserver.http.http2.message import Refused
from kvstore.http2.hpack import Header

LINE: list[Header] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"127.0.0.1:6443"),
    (b":path", b"/api/v1/pods?labelSelector=a%3Db&watch=1"),
]


def accepted(*more: Header) -> RawRequestMessage:
    head = message.request([*LINE, *more])
    assert isinstance(head, RawRequestMessage)
    return head


def refused(fields: list[Header]) -> int:
    head = message.request(fields)
    assert isinstance(head, Refused)
    return head.status


def test_a_head_is_a_request_line_and_headers() -> None:
    head = accepted((b"accept", b"application/json"), (b"x-many", b"1"), (b"x-many", b"2"))
    assert (head.method, head.path) == ("GET", "/api/v1/pods?labelSelector=a%3Db&watch=1")
    assert (head.url.raw_path, dict(head.url.query)) == (
        "/api/v1/pods",
        {"labelSelector": "a=b", "watch": "1"},
    )
    assert head.headers["Accept"] == "application/json"
    assert head.headers.getall("X-Many") == ["1", "2"]
    assert head.headers["Host"] == "127.0.0.1:6443"
    assert not head.should_close


def test_a_host_of_its_own_stays() -> None:
    assert accepted((b"host", b"example.com")).headers.getall("Host") == ["example.com"]


def test_cookies_that_came_apart_are_one_header() -> None:
    head = accepted((b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"))
    assert head.headers.getall("Cookie") == ["a=1; b=2"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([*LINE, (b"x", b"a\r\nEvil: 1")], id="a line in a value"),
        pytest.param([*LINE, (b"x", b"a\0")], id="a zero in a value"),
        pytest.param([*LINE, (b"X-Upper", b"a")], id="upper case"),
        pytest.param([*LINE, (b"a b", b"a")], id="a space in a name"),
        pytest.param([*LINE, (b"", b"a")], id="no name"),
        pytest.param([*LINE, (b"connection", b"close")], id="of a connection"),
        pytest.param([*LINE, (b"transfer-encoding", b"chunked")], id="of HTTP/1.1's framing"),
        pytest.param([(b"accept", b"*/*"), *LINE], id="the line comes late"),
        pytest.param([*LINE, (b":path", b"/other")], id="two paths"),
        pytest.param([*LINE, (b":status", b"200")], id="of an answer"),
        pytest.param(LINE[1:], id="no method"),
        pytest.param(LINE[:3], id="no path"),
        pytest.param([*LINE[:3], (b":path", b"/a b")], id="a space in the path"),
        pytest.param([(b":method", b"GET /evil HTTP/1.1"), *LINE[1:]], id="a line for a method"),
    ],
)
def test_what_is_not_http2_is_refused_as_that(fields: list[Header]) -> None:
    assert refused(fields) == 0


def test_what_is_too_long_is_told_so() -> None:
    assert refused([*LINE[:3], (b":path", b"/" + b"a" * message.LINE_BYTES)]) == 414
    assert refused([*LINE, (b"x", b"a" * message.HEAD_BYTES)]) == 431


def test_a_path_is_absolute() -> None:
    assert refused([*LINE[:3], (b":path", b"*")]) == 400
    assert refused([*LINE[:3], (b":path", b"https://elsewhere/")]) == 400


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=6))
def test_any_other_fields_are_a_request_or_refused(fields: list[Header]) -> None:
    head = message.request([*LINE, *fields])
    if isinstance(head, RawRequestMessage):
        assert not any(b"\r" in value or b"\n" in value for _, value in head.raw_headers)


def test_an_answer_says_nothing_of_its_connection() -> None:
    headers = CIMultiDict(
        {"Content-Type": "application/json", "Connection": "close", "Transfer-Encoding": "chunked"}
    )
    headers.add("Warning", '299 - "one"')
    headers.add("Warning", '299 - "two"')
    found = Decoder().decode(message.response(201, headers), raw=True)
    assert list(found) == [
        (b":status", b"201"),
        (b"content-type", b"application/json"),
        (b"warning", b'299 - "one"'),
        (b"warning", b'299 - "two"'),
    ]
    assert message.ends_connection(headers)
    assert list(Decoder().decode(message.response(200, CIMultiDict()), raw=True)) == [(b":status", b"200")]


def test_an_answer_has_no_line_in_a_value() -> None:
    with pytest.raises(ValueError, match="ends a line"):
        message.response(200, CIMultiDict({"X": "a\r\nEvil: 1"}))
