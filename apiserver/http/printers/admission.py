"""Webhooks, admission policies, flow control, aggregated APIs. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.http.printers.common import NONE, UNSET, age, meta_of, selector

Object = dict[str, Any]
Cells = list[Any]


def webhooks(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, len(obj.get("webhooks") or ()), age(created, now)]


def validating_policy(obj: Object, now: datetime) -> Cells:
    return _policy(obj, "validations", now)


def mutating_policy(obj: Object, now: datetime) -> Cells:
    return _policy(obj, "mutations", now)


def _policy(obj: Object, field: str, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    param = spec.get("paramKind")
    kind = UNSET if param is None else f"{param.get('apiVersion') or ''}/{param.get('kind') or ''}"
    return [name, len(spec.get(field) or ()), kind, age(created, now)]


def policy_binding(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    return [name, spec.get("policyName") or "", _param(spec.get("paramRef") or {}), age(created, now)]


def _param(reference: Object) -> str:
    """Whether the parameter has a namespace is not known here, so those without one may be in any."""
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    return selector(reference["selector"]) if reference.get("selector") is not None else UNSET


def flow_schema(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    conditions = (obj.get("status") or {}).get("conditions") or ()
    dangling = next((c.get("status") or "" for c in conditions if c.get("type") == "Dangling"), "?")
    return [
        name,
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        spec.get("matchingPrecedence") or 0,
        (spec.get("distinguisherMethod") or {}).get("type") or NONE,
        age(created, now),
        dangling,
    ]


def priority_level(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    shown = [queuing.get(field, NONE) for field in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", NONE)
    return [name, spec.get("type") or "", shares, *shown, age(created, now)]


def api_service(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    service = (obj.get("spec") or {}).get("service")
    place = "Local" if service is None else f"{service.get('namespace') or ''}/{service.get('name') or ''}"
    return [name, place, _available(obj), age(created, now)]


def _available(obj: Object) -> str:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            status, reason = condition.get("status") or "", condition.get("reason") or ""
            return status if status == "True" else f"{status} ({reason})"
    return "Unknown"
