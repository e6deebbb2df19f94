"""Structural checks on real types: pruning, type errors, normalisation, merge information."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind
from apiserver.schema.check import repeats_fields
from apiserver.schema.schemas import Schemas

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
POD = GroupVersionKind("", "v1", "Pod")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


def _pod(container: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {"containers": [container]}}


def test_unknown_fields_are_named_and_dropped(schemas: Schemas) -> None:
    pod, complaints = schemas.check(POD, _pod({"name": "c", "ports": [{"po": 1}], "imagee": "x"}))
    assert complaints == [
        'unknown field "spec.containers[0].ports[0].po"',
        'unknown field "spec.containers[0].imagee"',
    ]
    assert "imagee" not in pod["spec"]["containers"][0]


def test_duplicates_are_found_in_the_raw_text(schemas: Schemas) -> None:
    raw = b'{"metadata":{"name":"a","name":"b"},"data":{"a":"1","a":"2"}}'
    _, complaints = schemas.check(CONFIG_MAP, codec.decode(raw), raw)
    assert complaints == ['duplicate field "metadata.name"', 'duplicate field "data.a"']


_MEMBERS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ":", 'q":', "\\"]),
        st.sampled_from(["", " ", "\n\t"]),
        st.sampled_from(["1", '":x"', '"a:b"', '"\\":"', '{"a" :2}', '[{"b":":"}]']),
    ),
    max_size=5,
)


@given(_MEMBERS)
def test_repeats_are_noticed_however_the_text_is_written(members: list[tuple[str, str, str]]) -> None:
    raw = "{" + ",".join(f"{json.dumps(name)}{gap}:{value}" for name, gap, value in members) + "}"
    repeated = len({name for name, _, _ in members}) < len(members)
    assert repeats_fields(json.loads(raw), raw.encode()) == repeated


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (
            {"ports": [{"containerPort": "x"}]},
            "json: cannot unmarshal string into Go struct field "
            "ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            {"command": "ls"},
            "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string",
        ),
        ({"resources": {"limits": {"cpu": "1 core"}}}, "quantities must match the regular expression"),
        (
            {"stdin": 1},
            "json: cannot unmarshal number into Go struct field Container.spec.containers.stdin of type bool",
        ),
    ],
)
def test_type_errors(schemas: Schemas, container: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        schemas.check(POD, _pod(container))
    assert caught.value.code == 400
    assert caught.value.message.startswith('Pod in version "v1" cannot be handled as a Pod: ' + message)


def test_bytes_and_times_are_checked(schemas: Schemas) -> None:
    with pytest.raises(StatusError, match="illegal base64 data at input byte 3"):
        schemas.check(CONFIG_MAP, {"binaryData": {"a": "abc!"}})
    with pytest.raises(StatusError, match="parsing time"):
        schemas.check(CONFIG_MAP, {"metadata": {"creationTimestamp": "yesterday"}})


def test_values_become_what_go_would_write(schemas: Schemas) -> None:
    container = {
        "name": "c",
        "image": "",
        "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
        "env": None,
    }
    pod, _ = schemas.check(POD, {**_pod(container), "status": None})
    assert pod["spec"]["containers"] == [
        {"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}
    ]
    assert pod["status"] == {}
    deployment, _ = schemas.check(
        DEPLOYMENT, {"spec": {"replicas": 0, "minReadySeconds": 0, "paused": False}}
    )
    assert deployment["spec"]["replicas"] == 0
    assert not {"minReadySeconds", "paused"} & set(deployment["spec"])


def test_checking_twice_changes_nothing(schemas: Schemas) -> None:
    once, _ = schemas.check(POD, _pod({"name": "c", "image": "x"}))
    assert schemas.check(POD, once) == (once, [])


def test_merge_information(schemas: Schemas) -> None:
    info = schemas.merge_info(DEPLOYMENT, ["spec", "template", "spec", "containers"])
    assert info is not None
    assert (info.patch_strategy, info.patch_merge_key, info.list_type) == ("merge", "name", "map")
    assert schemas.merge_info(DEPLOYMENT, ["spec", "nothing"]) is None


def test_schemas_in_unions_are_checked(schemas: Schemas) -> None:
    """``items`` and ``additionalProperties`` are a schema, or something else in its place."""
    definition = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")

    def checked(schema: dict[str, Any]) -> list[str]:
        versions = [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]
        spec = {"group": "g", "scope": "Cluster", "names": {"plural": "p", "kind": "K"}, "versions": versions}
        _, complaints = schemas.check(definition, {"metadata": {}, "spec": spec})
        return complaints

    at = "spec.versions[0].schema.openAPIV3Schema"
    assert checked({"items": {"odd": 1}}) == [f'unknown field "{at}.items.odd"']
    assert checked({"items": [{"odd": 1}]}) == [f'unknown field "{at}.items[0].odd"']
    assert checked({"additionalProperties": {"odd": 1}}) == [f'unknown field "{at}.additionalProperties.odd"']
    assert checked({"additionalProperties": False}) == []
    with pytest.raises(StatusError, match="boolean or JSON schema expected"):
        checked({"additionalProperties": "x"})
    with pytest.raises(StatusError, match="cannot unmarshal number"):
        checked({"items": {"type": 5}})
