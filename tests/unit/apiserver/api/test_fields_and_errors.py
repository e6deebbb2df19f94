"""Field selectors, Status errors and field errors, stored bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec, errors, field_errors
from apiserver.api.field_errors import Path
from apiserver.api.fields import FieldSelectorError, escape, parse_field_selector
from apiserver.api.gvk import GroupKind, GroupResource


def test_field_selector_matches() -> None:
    selector = parse_field_selector("metadata.name=a,status.phase!=Running")
    assert selector.matches({"metadata.name": "a", "status.phase": "Pending"})
    assert not selector.matches({"metadata.name": "a", "status.phase": "Running"})
    assert selector.exact("metadata.name") == "a"


@given(st.text(max_size=8))
def test_escaped_values_survive(value: str) -> None:
    assert parse_field_selector("f=" + escape(value)).matches({"f": value})


def test_field_selector_complaint() -> None:
    with pytest.raises(FieldSelectorError, match=r"invalid selector: 'a>x'; can't understand 'a>x'"):
        parse_field_selector("a>x")


def test_not_found_status() -> None:
    status = errors.not_found(GroupResource("apps", "deployments"), "d").status()
    assert status["message"] == 'deployments.apps "d" not found'
    assert status["details"] == {"name": "d", "group": "apps", "kind": "deployments"}
    assert (status["code"], status["reason"]) == (404, "NotFound")


def test_invalid_joins_messages_once_and_keeps_causes() -> None:
    path = Path("spec").child("replicas")
    error = field_errors.invalid(path, -1, "must be greater than or equal to 0")
    other = field_errors.required(Path("spec").child("template").child("containers").index(0))
    status = errors.invalid(GroupKind("apps", "Deployment"), "d", [error, error, other])
    assert status.message == (
        'Deployment.apps "d" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, '
        "spec.template.containers[0]: Required value]"
    )
    assert len(status.status()["details"]["causes"]) == 3


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (Path(), "<nil>"),
        (Path("spec"), "spec"),
        (Path().child("spec", "x"), "spec.x"),
        (Path("").index(2).child("a"), "[2].a"),
        (Path("spec").child("a", "b").index(10).key("k").child("c"), "spec.a.b[10][k].c"),
    ],
)
def test_paths_are_shown_as_the_original_shows_them(path: Path, text: str) -> None:
    assert str(path) == text


def test_too_large_resource_version_asks_to_retry() -> None:
    error = errors.too_large_resource_version(5, 9)
    assert error.message == "Timeout: Too large resource version: 9, current: 5"
    assert error.retry_after == 1


def test_stored_bytes_take_a_resource_version_without_parsing() -> None:
    obj = {
        "spec": {"metadata": {}},
        "metadata": {"resourceVersion": "3", "name": "a"},
        "kind": "X",
        "apiVersion": "v1",
    }
    stored = codec.encode(obj)
    assert stored.startswith(b'{"kind":"X","apiVersion":"v1","metadata":{"name":"a"}')
    assert codec.decode(codec.splice(stored, 17)) == {
        **obj,
        "metadata": {"resourceVersion": "17", "name": "a"},
    }
    assert codec.decode_stored(stored, 17) == codec.decode(codec.splice(stored, 17))
    assert codec.splice(codec.encode({"kind": "X"}), 1) == (
        b'{"kind":"X","apiVersion":"","metadata":{"resourceVersion":"1"}}'
    )


def test_splice_refuses_other_bytes() -> None:
    with pytest.raises(codec.DecodeError):
        codec.splice(b"{}", 1)
