"""Messages to JSON: shapes, zero values, fields that repeat, types with a JSON of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.api.codec import MAX_VALUES
from apiserver.api.errors import StatusError
from apiserver.http.protobuf import message, table
from apiserver.http.protobuf.wire import MalformedError
from tests.unit.apiserver.http.protobuf import encoder
from tests.unit.apiserver.http.protobuf.encoder import msg, num, varint

META = "meta.v1.ObjectMeta"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        (META, msg(1, "a") + msg(2, "") + num(7, 0), {"name": "a"}),  # omitempty
        (META, num(10, 0), {"deletionGracePeriodSeconds": 0}),  # behind a pointer
        (META, msg(11, msg(1, "k"), msg(2, "v")) + msg(11), {"labels": {"k": "v", "": ""}}),
        (META, msg(14, "a") + msg(14, "b"), {"finalizers": ["a", "b"]}),
        (META, msg(1, "a") + msg(1, ""), {}),  # the last one wins
        (META, msg(8), {}),  # the zero time
        (META, msg(8, num(1, -62135596800)), {}),
        (META, msg(8, num(1, 1700000000), num(2, 5)), {"creationTimestamp": "2023-11-14T22:13:20Z"}),
        (META, msg(999, "newer than the table") + num(998, 1), {}),
        (META, msg(1, b"a\xff\xe2\x82b"), {"name": "a\ufffd\ufffd\ufffdb"}),
        ("coordination.v1.LeaseSpec", msg(4, num(1, 1), num(2, 1999)), {"renewTime": "1970-01-01T00:00:01.000001Z"}),
        ("core.v1.Volume", msg(1, "v") + msg(2, msg(2)), {"name": "v", "emptyDir": {}}),  # inline
        ("core.v1.Probe", msg(1, msg(3, msg(1, num(1, 0), num(2, 80)))), {"tcpSocket": {"port": 80}}),
        ("core.v1.ServicePort", msg(4, num(1, 1), num(2, 0), msg(3, "http")), {"targetPort": "http"}),
        ("core.v1.ServicePort", num(3, 0) + num(5, 0), {"port": 0}),  # port is written even if zero
        ("core.v1.ResourceFieldSelector", msg(3, msg(1, "1000m")), {"divisor": "1"}),
        ("core.v1.ResourceFieldSelector", msg(3), {"divisor": "0"}),
        ("core.v1.ResourceRequirements", msg(1, msg(1, "cpu"), msg(2)), {"limits": {"cpu": "0"}}),
        ("core.v1.Secret", msg(2, msg(1, "k"), msg(2, b"\x00\xff")), {"data": {"k": "AP8="}}),
        ("core.v1.PodSecurityContext", num(4, 1) + msg(4, varint(2), varint(-1)), {"supplementalGroups": [1, 2, -1]}),
        ("apps.v1.ControllerRevision", msg(2, msg(1, '{"a":[1]}')) + num(3, 4), {"data": {"a": [1]}, "revision": 4}),
        ("apps.v1.ControllerRevision", msg(2), {}),
        ("authentication.v1.UserInfo", msg(4, msg(1, "k"), msg(2, msg(1, "a"))), {"extra": {"k": ["a"]}}),
        ("core.v1.PodSpec", msg(7, msg(1, "a"), num(3, 1)), {"nodeSelector": {"a": ""}}),
    ],
)  # fmt: skip
def test_decode(name: str, data: bytes, expected: dict[str, Any]) -> None:
    assert message.decode(data, name) == expected


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        (META, num(1, 1), "proto: wrong wireType = 0 for field Name"),
        (META, msg(7, "a"), "proto: wrong wireType = 2 for field Generation"),
        (META, num(11, 1), "proto: wrong wireType = 0 for field Labels"),
        ("core.v1.Volume", num(2, 1), "proto: wrong wireType = 0 for field VolumeSource"),
        (META, msg(8, num(1, 2**62)), "Time.MarshalJSON: year outside of range [0,9999]"),
        ("core.v1.ServicePort", msg(4, num(1, 2)), "impossible IntOrString.Type"),
        ("core.v1.ResourceRequirements", msg(1, msg(2, msg(1, "x"))), "quantities must match the regular expression"),
        ("apps.v1.ControllerRevision", msg(2, msg(1, "{")), "raw value is not JSON"),
        ("apps.v1.ControllerRevision", msg(2, msg(1, "[" * 200_000)), "raw value is not JSON"),
    ],
)  # fmt: skip
def test_malformed(name: str, data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedError) as failure:
        message.decode(data, name)
    assert str(failure.value).startswith(complaint)


def test_a_message_that_comes_twice_is_merged() -> None:
    data = msg(1, msg(1, "a"), msg(3, "ns")) + msg(1, msg(1, "b"), msg(5, "uid"))
    expected = {"metadata": {"name": "b", "namespace": "ns", "uid": "uid"}}
    assert message.decode(data, "core.v1.ConfigMap") == expected


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "bool": st.just(True),
    "int32": st.integers(1, 2**31 - 1) | st.integers(-(2**31), -1),
    "int64": st.integers(1, 2**63 - 1) | st.integers(-(2**63), -1),
    "bytes": st.just("AP8="),
    "quantity": st.sampled_from(["1", "100m", "1Gi"]),
    "time": st.just("2023-11-14T22:13:20Z"),
    "microTime": st.just("2023-11-14T22:13:20.000123Z"),
    "intOrString": st.integers(0, 99) | _TEXT,
    "raw": st.just({"a": [1, None]}),
    "strings": st.lists(_TEXT, max_size=2),
}


@st.composite
def objects(draw: st.DrawFn, name: str, depth: int = 0) -> dict[str, Any]:
    """An object of a message, written as Go writes it."""
    obj: dict[str, Any] = {}
    fields = list(table.messages()[name].values())
    for field in draw(st.lists(st.sampled_from(fields), max_size=4, unique=True)):
        if field.shape == table.INLINE:
            obj.update(draw(objects(field.type, depth + 1)))
            continue
        if field.type not in _VALUES and depth > 4:
            continue
        scalar = _VALUES.get(field.type)
        value = objects(field.type, depth + 1) if scalar is None else scalar
        if field.shape == table.LIST:
            value = st.lists(value, min_size=1, max_size=2)
        elif field.shape == table.MAP:
            value = st.dictionaries(_TEXT, value, min_size=1, max_size=2)
        obj[field.name] = draw(value)
    return obj


_KINDS = [
    "core.v1.Pod",
    "core.v1.PersistentVolume",
    "apps.v1.Deployment",
    "batch.v1.CronJob",
    "autoscaling.v2.HorizontalPodAutoscaler",
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_was_written_comes_back(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(_KINDS))
    obj = data.draw(objects(name))
    decoded = message.decode(encoder.message(obj, name), name)
    assert decoded == obj


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_messages_are_refused_or_read(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(_KINDS))
    raw = bytearray(encoder.message(data.draw(objects(name)), name) or b"\x0a\x00")
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    try:
        message.decode(bytes(raw), name)
    except MalformedError:
        return


def test_a_small_body_of_very_many_values_is_refused_before_they_are_decoded() -> None:
    with pytest.raises(StatusError, match="more than 100000 values") as caught:
        message.decode(msg(14) * (MAX_VALUES + 1), META)
    assert caught.value.code == 413
    assert len(message.decode(msg(14) * MAX_VALUES, META)["finalizers"]) == MAX_VALUES
