"""What is accepted with a warning, in the original's words."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import pytest

from apiserver.validation.warnings import key_pair_fault
from tests.unit.apiserver.kinds.objects import BODIES, changed, fresh, put, resource_of, table


@pytest.mark.parametrize("key", sorted(BODIES))
def test_a_good_object_is_taken_without_a_word(key: str) -> None:
    assert resource_of(key).strategy.warnings(fresh(key), None) == []


@pytest.mark.parametrize("row", table("warnings"))
def test_warnings_of_a_create(row: dict[str, Any]) -> None:
    obj = changed(row["kind"], row["change"])
    assert resource_of(row["kind"]).strategy.warnings(obj, None) == row["warnings"]


def test_an_update_that_changes_no_spec_is_not_looked_at_again() -> None:
    key = "apps/v1/Deployment"
    old = fresh(key)
    put(old, "spec.template.spec.nodeSelector", {"beta.kubernetes.io/os": "linux"})
    new = deepcopy(old)
    assert resource_of(key).strategy.warnings(new, old) == []
    new["metadata"]["generation"] = 2
    assert len(resource_of(key).strategy.warnings(new, old)) == 1


def test_pods_are_warned_of_once() -> None:
    pod = fresh("v1/Pod")
    pod["metadata"]["name"] = "a.b"
    assert resource_of("v1/Pod").strategy.warnings(pod, deepcopy(pod)) == []


def test_a_key_must_fit_its_certificate() -> None:
    assert key_pair_fault(b"", b"") == "tls: failed to find any PEM data in certificate input"
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"x") + b"\n-----END CERTIFICATE-----\n"
    assert key_pair_fault(pem, b"") == "tls: failed to find any PEM data in key input"
    assert key_pair_fault(pem, b"-----BEGIN PRIVATE KEY-----").startswith("x509: malformed certificate")
