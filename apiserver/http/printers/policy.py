"""Leases, priorities, budgets, role bindings, signing requests. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.http.printers.common import NONE, age, duration, meta_of

Object = dict[str, Any]
Cells = list[Any]


def lease(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, (obj.get("spec") or {}).get("holderIdentity") or "", age(created, now)]


def priority_class(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    policy = obj.get("preemptionPolicy") or ""
    return [name, obj.get("value", 0), bool(obj.get("globalDefault")), age(created, now), policy]


def disruption_budget(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    limits = [
        str(spec[key]) if spec.get(key) is not None else "N/A" for key in ("minAvailable", "maxUnavailable")
    ]
    return [name, *limits, status.get("disruptionsAllowed", 0), age(created, now)]


def role_binding(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    ref = obj.get("roleRef") or {}
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        kind, shown = subject.get("kind", ""), subject.get("name", "")
        if kind == "ServiceAccount":
            shown = f"{subject.get('namespace', '')}/{shown}"
        by_kind.setdefault(kind, []).append(shown)
    subjects = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name, f"{ref.get('kind', '')}/{ref.get('name', '')}", age(created, now), *subjects]


def signing_request(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    return [
        name,
        age(created, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else duration(seconds),
        _condition(status),
    ]


def _condition(status: Object) -> str:
    kinds = [c.get("type") for c in status.get("conditions") or ()]
    shown = next((k for k in ("Denied", "Approved") if k in kinds), "Pending")
    if "Failed" in kinds:
        shown += ",Failed"
    return shown + (",Issued" if status.get("certificate") else "")
