"""The rules that an aggregated ClusterRole should have (P). Source: clusterroleaggregation_controller.go."""

from __future__ import annotations

from collections.abc import Iterable

from apiserver.api import meta
from apiserver.api.labels import selector_from_label_selector
from apiserver.api.meta import Object


def is_aggregated(role: Object) -> bool:
    return bool(role.get("aggregationRule"))


def desired(role: Object, roles: Iterable[Object]) -> Object | None:
    """The role to write, None if its rules are right: those of the chosen roles, by selector, then by name."""
    if not is_aggregated(role):
        return None
    by_name = sorted(roles, key=meta.name)
    rules: list[Object] = []
    for raw in role["aggregationRule"].get("clusterRoleSelectors") or ():
        selector = selector_from_label_selector(raw)
        for other in by_name:
            if meta.name(other) != meta.name(role) and selector.matches(meta.labels(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return None if rules == (role.get("rules") or []) else {**role, "rules": rules}
