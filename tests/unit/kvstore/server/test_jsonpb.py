"""JSON mapping against protobuf's own, and what it refuses."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.server import jsonpb
from kvstore.server.jsonpb import Documents

KEYS = st.binary(max_size=8)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)

ranges = st.builds(
    pb.RangeRequest,
    key=KEYS,
    range_end=KEYS,
    limit=INT64,
    sort_order=st.sampled_from([0, 1, 2]),
    serializable=st.booleans(),
)
puts = st.builds(pb.PutRequest, key=KEYS, value=KEYS, lease=INT64)
compares = st.builds(pb.Compare, key=KEYS, version=INT64) | st.builds(pb.Compare, key=KEYS, value=KEYS)
operations = st.builds(pb.RequestOp, request_range=ranges) | st.builds(pb.RequestOp, request_put=puts)
txns = st.builds(
    pb.TxnRequest, compare=st.lists(compares, max_size=3), success=st.lists(operations, max_size=3)
)


@given(txns)
def test_there_and_back(message: pb.TxnRequest) -> None:
    text = jsonpb.to_json(message)
    assert jsonpb.parse(json.loads(text), pb.TxnRequest()) == message
    assert jsonpb.parse(json.loads(json_format.MessageToJson(message)), pb.TxnRequest()) == message


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, pb.RangeRequest()),
        ({}, pb.RangeRequest()),
        ({"key": None, "nope": [1]}, pb.RangeRequest()),
        ({"key": "_-8", "limit": 5}, pb.RangeRequest(key=b"\xff\xef", limit=5)),
        ({"limit": "-7", "rangeEnd": "AA=="}, pb.RangeRequest(limit=-7, range_end=b"\0")),
        (
            {"limit": 2.0, "sort_order": "DESCEND"},
            pb.RangeRequest(limit=2, sort_order=pb.RangeRequest.DESCEND),
        ),
        ({"sort_order": 2, "sort_target": "3"}, pb.RangeRequest(sort_order=2, sort_target=3)),
    ],
)
def test_forms_of_values(document: object, expected: pb.RangeRequest) -> None:
    assert jsonpb.parse(document, pb.RangeRequest()) == expected


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "must be a JSON object"),
        ({"key": 5}, "key: must be a string of base64"),
        ({"key": "!!"}, "key: is not valid base64"),
        ({"key": "A"}, "key: is not valid base64"),
        ({"limit": "x"}, "limit: must be an integer"),
        ({"limit": 1.5}, "limit: must be an integer"),
        ({"limit": True}, "limit: must be an integer"),
        ({"limit": 1 << 63}, "limit: 9223372036854775808 is out of range"),
        ({"limit": float("inf")}, "limit: must be an integer"),
        ({"serializable": 1}, "serializable: must be true or false"),
        ({"sort_order": "X"}, 'sort_order: unknown value "X" for enum etcdserverpb.RangeRequest.SortOrder'),
    ],
)
def test_what_does_not_fit(document: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        jsonpb.parse(document, pb.RangeRequest())


def test_one_of_a_choice() -> None:
    with pytest.raises(ValueError, match="another field of request is already set"):
        jsonpb.parse({"request_range": {}, "request_put": {}}, pb.RequestOp())
    assert jsonpb.parse({"request_range": {}}, pb.RequestOp()).WhichOneof("request") == "request_range"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from([*pb.TxnRequest.DESCRIPTOR.fields_by_name]) | st.text(), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    with contextlib.suppress(ValueError):
        jsonpb.parse(document, pb.TxnRequest())


@settings(max_examples=25)
@given(st.lists(JSON.filter(lambda v: v == v), max_size=4), st.integers(1, 7))
def test_a_stream_of_documents_in_pieces(documents: list[object], size: int) -> None:
    data = " ".join(
        json.dumps(document, allow_nan=False, default=str) for document in _finite(documents)
    ).encode()
    stream = Documents()
    found = [d for at in range(0, len(data), size) for d in stream.feed(data[at : at + size])]
    found += stream.feed(b" ", end=True)
    assert json.dumps(found) == json.dumps(_joined(data))


def _finite(documents: list[object]) -> list[object]:
    def ok(document: object) -> bool:
        try:
            json.dumps(document, allow_nan=False)
        except ValueError:
            return False
        return True

    # A number at the end of a piece could go on: only containers and strings are unambiguous.
    return [document for document in documents if ok(document) and isinstance(document, list | dict | str)]


def _joined(data: bytes) -> list[object]:
    decoder, text, at, found = json.JSONDecoder(), data.decode(), 0, []
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += 1
    return found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "unexpected EOF"),
        (b"x", "invalid character"),
        (b"\xff", "invalid UTF-8"),
        (b"NaN", "NaN is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        jsonpb.first(data)
    with pytest.raises(ValueError, match=reason):
        Documents().feed(data, end=True)


def test_an_empty_body_is_an_empty_request() -> None:
    assert jsonpb.first(b" \n") is None
    assert jsonpb.first(b'{"a":1}{"b":') == {"a": 1}
