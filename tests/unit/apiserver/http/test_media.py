"""One object in every form."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind
from apiserver.http import cbor, media
from apiserver.http.negotiation import CBOR, JSON, PROTOBUF, YAML, Accepted
from apiserver.http.protobuf import envelope
from apiserver.http.protobuf.encode import NoMessage, watch_frame
from apiserver.http.protobuf.encode import envelope as write

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "p",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"a": "b", "": ""},
        "ownerReferences": [{"kind": "X", "apiVersion": "v1", "name": "o", "uid": "u", "controller": False}],
        "managedFields": [{"manager": "m", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:a": {}}}}],
    },
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [
            {
                "name": "c",
                "resources": {"limits": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
                "ports": [{"containerPort": 80}],
            }
        ],
    },
    "status": {"startTime": "1969-12-31T23:59:59Z"},
}
SECRET = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "AAEC"}}
LEASE = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {"name": "l"},
    "spec": {"renewTime": "2026-01-02T03:04:05.123456Z", "leaseTransitions": -1},
}


@pytest.mark.parametrize("obj", [POD, SECRET, LEASE])
def test_protobuf_is_read_back(obj: dict[str, Any]) -> None:
    group, _, version = obj["apiVersion"].rpartition("/")
    gvk = GroupVersionKind(group, version, obj["kind"])
    assert envelope.decode(write(obj), gvk) == obj


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), min_size=1, max_size=4))
def test_protobuf_of_any_texts(data: dict[str, str]) -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": data}
    assert envelope.decode(write(obj), GroupVersionKind("", "v1", "ConfigMap")) == obj


def test_kinds_of_every_group_have_a_message() -> None:
    assert write({"kind": "Status", "apiVersion": "v1", "code": 404}).startswith(b"k8s\x00")
    assert write({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}).startswith(b"k8s\x00")


def test_a_kind_without_protobuf_is_not_acceptable() -> None:
    odd = {"kind": "Widget", "apiVersion": "example.com/v1"}
    with pytest.raises(NoMessage):
        write(odd)
    with pytest.raises(StatusError, match="does not implement the protobuf marshalling interface") as refused:
        media.encode(Accepted(PROTOBUF), codec.dumps(odd))
    assert refused.value.code == 406


def test_a_watch_frame_tells_its_length() -> None:
    frame = watch_frame("ADDED", SECRET)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert b"ADDED" in frame
    assert write(SECRET) in frame


def test_the_other_forms() -> None:
    data = codec.dumps(SECRET)
    assert media.encode(Accepted(JSON), data) == data + b"\n"
    assert b'\n  "kind": "Secret",\n' in media.encode(Accepted(JSON, pretty=True), data)
    assert yaml.safe_load(media.encode(Accepted(YAML), data)) == SECRET
    assert cbor.load(media.encode(Accepted(CBOR), data)) == SECRET
    assert media.encode(Accepted(CBOR), data).startswith(b"\xd9\xd9\xf7")


def test_cbor_takes_both_kinds_of_text_and_marked_bytes() -> None:
    value = {"a": b"x", b"b": "y", "c": cbor2.CBORTag(22, b"\x00\x01"), "d": [1, None, True, 1.5]}
    assert cbor.load(cbor2.dumps(value)) == {"a": "x", "b": "y", "c": "AAE=", "d": [1, None, True, 1.5]}


@pytest.mark.parametrize(
    "data", [b"", b"\xff", cbor2.dumps({1: 2}), cbor2.dumps(cbor2.CBORTag(99, 1)), b"\xa1"]
)
def test_what_is_not_cbor_of_an_object(data: bytes) -> None:
    with pytest.raises(codec.DecodeError):
        cbor.load(data)


def test_frames_of_a_stream() -> None:
    assert media.frame(JSON, "ADDED", b"{}") == b'{"type":"ADDED","object":{}}\n'
    assert cbor.load(media.frame(CBOR, "ADDED", b'{"a":1}')) == {"type": "ADDED", "object": {"a": 1}}
    assert media.stream_type(CBOR) == "application/cbor-seq"
    assert media.stream_type(PROTOBUF) == "application/vnd.kubernetes.protobuf;stream=watch"
    assert not media.streams(YAML)
