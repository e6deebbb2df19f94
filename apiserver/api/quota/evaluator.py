"""(P) What an evaluator is, which quotas concern an object, and how usage is added up.

An evaluator measures the objects of one resource. A quota concerns an object if it limits a name that the evaluator
tracks, and the object is in all of the quota's scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from apiserver.api.gvk import GroupResource
from apiserver.api.labels import selector_from_label_selector
from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity
from apiserver.api.quota import amounts
from apiserver.api.quota.amounts import Amounts

ONE = Quantity.of(1)


def _in_no_scope(scope: Object, obj: Object) -> bool:
    return False


def _complete(required: Collection[str], obj: Object) -> str:
    return ""


def _never(subresource: str, new: Object, old: Object) -> bool:
    return False


@dataclass(frozen=True)
class Evaluator:
    """`usage(obj, now)` is what one object counts. `missing(names, obj)` says what the object must specify because
    a quota limits it, empty if nothing. `charges_update(subresource, new, old)`: an update may raise usage."""

    resource: GroupResource
    usage: Callable[[Object, datetime], Amounts]
    tracks: Callable[[str], bool]
    in_scope: Callable[[Object, Object], bool] = _in_no_scope
    missing: Callable[[Collection[str], Object], str] = _complete
    charges_update: Callable[[str, Object, Object], bool] = _never


def count_name(resource: GroupResource) -> str:
    """``count/deployments.apps``"""
    return f"count/{resource.resource}.{resource.group}" if resource.group else f"count/{resource.resource}"


def counting(resource: GroupResource, alias: str | None = None) -> Evaluator:
    """Counts objects, and nothing else; `alias` is the name from before ``count/``."""
    names = frozenset(name for name in (count_name(resource), alias) if name)
    return Evaluator(resource, lambda obj, now: dict.fromkeys(names, ONE), names.__contains__)


def scopes_of(quota: Object) -> list[Object]:
    """Selector requirements: those of `scopes` and those of `scopeSelector`."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return plain + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def matches_value(scope: Object, value: str | None) -> bool:
    """Whether a scope with an operator and values selects an object whose value is this one."""
    requirement = {
        "key": scope["scopeName"],
        "operator": scope["operator"],
        "values": scope.get("values") or [],
    }
    labels = {scope["scopeName"]: value} if value else {}
    return selector_from_label_selector({"matchExpressions": [requirement]}).matches(labels)


def in_scopes(evaluator: Evaluator, quota: Object, obj: Object) -> bool:
    return all(evaluator.in_scope(scope, obj) for scope in scopes_of(quota))


def concerns(evaluator: Evaluator, quota: Object, hard: Iterable[str], obj: Object) -> bool:
    return any(evaluator.tracks(name) for name in hard) and in_scopes(evaluator, quota, obj)


def total(evaluator: Evaluator, quota: Object, objects: Iterable[Object], now: datetime) -> Amounts:
    """What `objects`, all of the evaluator's resource, count against the names of ``spec.hard`` that it tracks."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    found = {name: Quantity(0) for name in hard if evaluator.tracks(name)}
    for obj in objects:
        if in_scopes(evaluator, quota, obj):
            found = amounts.add(found, amounts.masked(evaluator.usage(obj, now), found))
    return found
