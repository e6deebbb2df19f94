"""Questions to the authorizer that are none."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.validation.access_reviews import validate_local, validate_self, validate_subject

PODS = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "n"}}
PATH = {"nonResourceAttributes": {"verb": "get", "path": "/x"}}
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def messages(found: list[Any]) -> list[str]:
    return [error.message() for error in found]


def test_one_of_both() -> None:
    assert validate_self(PODS) == validate_self(PATH) == []
    assert messages(validate_self({})) == [f"spec.resourceAttributes: Invalid value: null: {NEITHER}"]
    assert messages(validate_self({**PODS, **PATH})) == [
        'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: '
        "cannot be specified in combination with resourceAttributes"
    ]


def test_somebody() -> None:
    assert validate_subject({**PODS, "groups": ["g"]}) == []
    assert messages(validate_subject(PODS)) == [
        'spec.user: Invalid value: "": at least one of user or group must be specified'
    ]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (PODS, 'spec.resourceAttributes.namespace: Invalid value: "n": must match metadata.namespace'),
        (PATH, 'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: '
         "disallowed on this kind of request"),
    ],
)  # fmt: skip
def test_of_one_namespace(spec: dict[str, Any], text: str) -> None:
    assert messages(validate_local({**spec, "user": "u"}, "other")) == [text]
    assert validate_local({**PODS, "user": "u"}, "n") == []
