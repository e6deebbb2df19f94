"""No served kind is without rules, defaults and a good object: what is added to the table must be added here."""

from __future__ import annotations

from copy import deepcopy

import pytest

from apiserver.registry.table import Resource
from apiserver.validation.rules import CREATE_RULES, NEW_RULES, NO_RULES, UPDATE_RULES
from tests.unit.apiserver.kinds.objects import BODIES, REGISTRY, fresh, resource_of

_NEVER_STORED = {"Binding", "ComponentStatus", "CustomResourceDefinition"}


def _key(resource: Resource) -> str:
    return f"{resource.gvk.group_version}/{resource.gvk.kind}"


def _stored() -> list[str]:
    """CustomResourceDefinitions have tests of their own."""
    return [_key(r) for r in REGISTRY.resources if "get" in r.verbs and r.gvk.kind not in _NEVER_STORED]


def test_every_kind_has_rules_or_a_reason_for_none() -> None:
    ruled = {*CREATE_RULES, *NEW_RULES, *UPDATE_RULES}
    for resource in REGISTRY.resources:
        identity = (resource.gvk.group, resource.gvk.kind)
        assert (identity in ruled) != (identity in NO_RULES), identity


def test_every_rule_belongs_to_a_served_kind() -> None:
    served = {(r.gvk.group, r.gvk.kind) for r in REGISTRY.resources}
    assert {*CREATE_RULES, *NEW_RULES, *UPDATE_RULES, *NO_RULES} <= served


def test_every_stored_kind_has_a_good_object() -> None:
    assert sorted(BODIES) == sorted(_stored())


@pytest.mark.parametrize("key", sorted(BODIES))
def test_a_good_object_is_valid(key: str) -> None:
    assert [error.message() for error in resource_of(key).strategy.validate(fresh(key))] == []


@pytest.mark.parametrize("key", sorted(BODIES))
def test_an_update_that_changes_nothing_is_valid(key: str) -> None:
    strategy, old = resource_of(key).strategy, fresh(key)
    new = deepcopy(old)
    strategy.prepare_for_update(new, old)
    assert [error.message() for error in strategy.validate_update(new, old)] == []
    assert new["metadata"].get("generation") == old["metadata"].get("generation")


@pytest.mark.parametrize("key", sorted(BODIES))
def test_defaults_are_stable(key: str) -> None:
    """Defaults of what has its defaults change nothing: stored objects are read as they are."""
    obj = fresh(key)
    again = deepcopy(obj)
    resource_of(key).strategy.default(again)
    assert again == obj


@pytest.mark.parametrize("key", sorted(BODIES))
def test_a_bad_label_is_told_once_on_create(key: str) -> None:
    obj = fresh(key)
    obj["metadata"]["labels"] = {"bad key": "x"}
    fields = [error.field for error in resource_of(key).strategy.validate(obj)]
    assert fields.count("metadata.labels") == 1


@pytest.mark.parametrize("key", sorted(BODIES))
def test_the_status_strategy_takes_its_own_status(key: str) -> None:
    strategy, old = resource_of(key).strategy, fresh(key)
    if strategy.status is None:
        return
    new = deepcopy(old)
    strategy.status.prepare_for_update(new, old)
    assert [error.message() for error in strategy.status.validate_update(new, old)] == []


@pytest.mark.parametrize(
    "key", ["v1/Event", "policy/v1/PodDisruptionBudget", "rbac.authorization.k8s.io/v1/Role"]
)
def test_names_that_are_only_path_segments(key: str) -> None:
    obj = fresh(key)
    for name, fine in (("Upper_Case", True), ("a/b", False)):
        obj["metadata"]["name"] = name
        assert (resource_of(key).strategy.validate(obj) == []) == fine
