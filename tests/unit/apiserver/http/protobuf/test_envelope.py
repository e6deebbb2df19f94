"""Whole bodies: kind and version of the envelope, and the words in which a body is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.protobuf import envelope
from tests.unit.apiserver.http.protobuf.encoder import msg, num, unknown

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
NAMED = msg(1, msg(1, "a"))


def test_a_body() -> None:
    body = unknown("v1", "ConfigMap", NAMED, msg(2, msg(1, "k"), msg(2, "v")))
    expected = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}}
    assert envelope.decode(body, CONFIG_MAP) == expected


@pytest.mark.parametrize(
    ("body", "kind", "api_version"),
    [
        (b"k8s\x00" + msg(2, NAMED), "ConfigMap", "v1"),
        (unknown("", "", NAMED), "ConfigMap", "v1"),
        (unknown("", "Secret", NAMED), "Secret", "v1"),
        (unknown("apps/v1", "Deployment", NAMED), "Deployment", "apps/v1"),
        (unknown("rbac.authorization.k8s.io/v1", "Role", NAMED), "Role", "rbac.authorization.k8s.io/v1"),
    ],
)
def test_what_is_not_named_is_what_is_expected(body: bytes, kind: str, api_version: str) -> None:
    decoded = envelope.decode(body, CONFIG_MAP)
    assert (decoded["kind"], decoded["apiVersion"]) == (kind, api_version)
    assert decoded["metadata"] == {"name": "a"}


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "meta.k8s.io/v1"])
def test_delete_options_are_of_every_group(api_version: str) -> None:
    body = unknown(api_version, "DeleteOptions", num(1, 0), msg(2, msg(1, "u")), msg(4, "Orphan"))
    decoded = envelope.decode(body, GroupVersionKind("", "v1", "DeleteOptions"))
    assert decoded["gracePeriodSeconds"] == 0
    assert decoded["preconditions"] == {"uid": "u"}
    assert decoded["propagationPolicy"] == "Orphan"


UNRECOGNISED = "the object provided is unrecognized (must be of type ConfigMap): "
UNFIT = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", UNRECOGNISED + "empty data (<empty>)"),
        (b"k8s\x00", UNRECOGNISED + "empty body (6b387300)"),
        (
            b"{}",
            UNRECOGNISED
            + "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({})",
        ),
        (b"k8s\x00\x0a", UNRECOGNISED + "unexpected EOF (6b3873000a)"),
        (
            b"k8s\x00\x08" + b"\x01" * 40,
            UNRECOGNISED
            + "proto: wrong wireType = 0 for field TypeMeta (6b38730008" + "01" * 25 + " ...)",
        ),
        (unknown("v1", "ConfigMap", b"\x0a\x05"), UNFIT + "unexpected EOF"),
        (unknown("v1", "ConfigMap", num(1, 1)), UNFIT + "proto: wrong wireType = 0 for field Metadata"),
        (
            unknown("v1", "Nonsense"),
            'Nonsense in version "v1" cannot be handled as a ConfigMap: no kind "Nonsense" is registered for '
            'version "v1" in scheme "kubernetes"',
        ),
    ],
)  # fmt: skip
def test_refused(body: bytes, text: str) -> None:
    with pytest.raises(StatusError) as failure:
        envelope.decode(body, CONFIG_MAP)
    assert (failure.value.code, failure.value.message) == (400, text)


@pytest.mark.parametrize(
    ("body", "text", "kind"),
    [
        (b"k8s\x00\x0a", "unexpected EOF", None),
        (unknown("v1", "ConfigMap", b"\x0a\x05"), "unexpected EOF", CONFIG_MAP),
    ],
)
def test_parse_tells_how_far_it_got(body: bytes, text: str, kind: GroupVersionKind | None) -> None:
    with pytest.raises(envelope.BodyError) as failure:
        envelope.parse(body, CONFIG_MAP)
    assert (str(failure.value), failure.value.kind) == (text, kind)


def test_an_api_version_of_several_slashes() -> None:
    with pytest.raises(StatusError, match="unexpected GroupVersion string: a/b/c") as failure:
        envelope.decode(unknown("a/b/c", "ConfigMap"), CONFIG_MAP)
    assert failure.value.code == 400


def test_a_kind_without_protobuf_form() -> None:
    widget = GroupVersionKind("example.com", "v1", "Widget")
    with pytest.raises(StatusError) as failure:
        envelope.decode(unknown("example.com/v1", "Widget"), widget)
    assert failure.value.code == 415


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, wrapped: bool) -> None:
    body = unknown("v1", "Pod", data) if wrapped else b"k8s\x00" + data
    try:
        code, kind = 200, envelope.decode(body, GroupVersionKind("", "v1", "Pod"))["kind"]
    except StatusError as refusal:
        code, kind = refusal.code, ""
    assert code in (200, 400)
    assert isinstance(kind, str)
