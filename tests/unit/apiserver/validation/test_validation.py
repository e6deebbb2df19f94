"""Validation messages, in the original's words."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.validation.dispatch import validate_create, validate_update

_SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"


def _messages(gvk: GroupVersionKind, obj: dict[str, Any], **options: Any) -> list[str]:
    obj["metadata"] = {"name": "t", "namespace": "ns", **obj.get("metadata", {})}
    return [error.message() for error in validate_create(gvk, obj, True, options)]


CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
SERVICE = GroupVersionKind("", "v1", "Service")
ENDPOINTS = GroupVersionKind("", "v1", "Endpoints")


@pytest.mark.parametrize(
    ("metadata", "start"),
    [
        ({"name": "A_b"}, f'metadata.name: Invalid value: "A_b": {_SUBDOMAIN}'),
        ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
        (
            {"labels": {"a/b/c": "x"}},
            'metadata.labels: Invalid value: "a/b/c": a valid label key must consist of',
        ),
        (
            {"labels": {"a": "-"}},
            'metadata.labels: Invalid value: "-": a valid label must be an empty string or',
        ),
        (
            {"annotations": {"a": "x" * 300000}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (
            {"finalizers": ["x"]},
            'metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer',
        ),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
        ),
    ],
)
def test_metadata(metadata: dict[str, Any], start: str) -> None:
    (message,) = _messages(CONFIG_MAP, {"metadata": metadata})
    assert message.startswith(start)


def test_immutable_metadata() -> None:
    old = {"metadata": {"name": "a", "uid": "1"}}
    new = {"metadata": {"name": "a", "uid": "2"}}
    found = {error.message() for error in validate_update(CONFIG_MAP, new, old, {})}
    assert found == {'metadata.uid: Invalid value: "2": field is immutable'}


def test_frozen_config_map() -> None:
    old = {"metadata": {"name": "a"}, "immutable": True, "data": {"k": "1"}}
    new = {"metadata": {"name": "a"}, "data": {"k": "2"}}
    fields = [error.field for error in validate_update(CONFIG_MAP, new, old, {})]
    assert fields == ["immutable", "data"]


def test_config_map_keys() -> None:
    (message,) = _messages(CONFIG_MAP, {"data": {"a b": ""}})
    assert message.startswith('data[a b]: Invalid value: "a b": a valid config key must consist of')


@pytest.mark.parametrize(("name", "complaints"), [("1a", 0), ("a.b", 1), ("a" * 64, 1)])
def test_a_service_name_is_a_dns_label(name: str, complaints: int) -> None:
    spec = {"ports": [{"port": 80, "protocol": "TCP"}], "type": "ClusterIP", "sessionAffinity": "None"}
    assert len(_messages(SERVICE, {"metadata": {"name": name}, "spec": spec})) == complaints


def test_service_needs_ports() -> None:
    spec = {"type": "ClusterIP", "sessionAffinity": "None"}
    assert _messages(SERVICE, {"spec": spec}) == ["spec.ports: Required value"]


def test_loopback_endpoints_need_the_option() -> None:
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80, "protocol": "TCP"}]}]
    (message,) = _messages(ENDPOINTS, {"subsets": subsets})
    assert message.startswith(
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback'
    )
    assert _messages(ENDPOINTS, {"subsets": subsets}, allow_loopback_endpoints=True) == []
