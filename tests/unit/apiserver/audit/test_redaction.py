"""No secret is in what the audit log shows of a body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.audit.redaction import HIDDEN, redacted

CANARY = "c2VjcmV0LWNhbmFyeQ=="
SECRET = {
    "kind": "Secret",
    "metadata": {
        "name": "s",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY, "team": "a"},
    },
    "data": {"key": CANARY, "gone": None},
    "stringData": {"other": CANARY},
    "type": "Opaque",
}
SHOWN = {
    "kind": "Secret",
    "metadata": {
        "name": "s",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": HIDDEN, "team": "a"},
    },
    "data": {"key": HIDDEN, "gone": None},
    "stringData": {"other": HIDDEN},
    "type": "Opaque",
}
TOKEN = {"kind": "TokenRequest", "status": {"token": CANARY, "expirationTimestamp": "t"}}
REVIEW = {"kind": "TokenReview", "spec": {"token": CANARY, "audiences": ["a"]}}
STATUS = {"kind": "Status", "code": 404, "metadata": {}}


@pytest.mark.parametrize(
    ("resource", "value", "shown"),
    [
        ("secrets", SECRET, SHOWN),
        ("secrets", {"kind": "SecretList", "items": [SECRET]}, {"kind": "SecretList", "items": [SHOWN]}),
        (
            "secrets",
            {"rows": [{"cells": [1], "object": SECRET}]},
            {"rows": [{"cells": [1], "object": SHOWN}]},
        ),
        (
            "secrets",
            [{"op": "add", "path": "/data/a", "value": CANARY}, {"op": "remove", "path": "/data/b"}],
            [{"op": "add", "path": "/data/a", "value": HIDDEN}, {"op": "remove", "path": "/data/b"}],
        ),
        ("secrets", STATUS, STATUS),
        ("secrets", None, None),
        ("secrets", CANARY, HIDDEN),
        ("serviceaccounts/token", TOKEN, {**TOKEN, "status": {**TOKEN["status"], "token": HIDDEN}}),  # type: ignore[dict-item]
        ("tokenreviews", REVIEW, {**REVIEW, "spec": {**REVIEW["spec"], "token": HIDDEN}}),  # type: ignore[dict-item]
        ("serviceaccounts/token", STATUS, STATUS),
        ("configmaps", {"data": {"a": "b"}}, {"data": {"a": "b"}}),
    ],
)
def test_what_is_shown(resource: str, value: Any, shown: Any) -> None:
    before = json.dumps(value)
    resource, _, subresource = resource.partition("/")
    assert redacted(value, {"resource": resource, "subresource": subresource}) == shown
    assert json.dumps(value) == before, "what is sent is not changed"


PLACES = st.sampled_from(
    ["data", "stringData", "items", "rows", "object", "metadata", "annotations", "value"]
)
BODIES = st.recursive(
    st.just(CANARY) | st.none() | st.just(1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLACES, inner, max_size=3),
    max_leaves=12,
)


@given(BODIES)
def test_any_body_can_be_looked_at(body: Any) -> None:
    redacted(body, {"resource": "secrets"})
    assert CANARY not in json.dumps(
        redacted({"data": {"a": body}, "stringData": body}, {"resource": "secrets"})
    )
