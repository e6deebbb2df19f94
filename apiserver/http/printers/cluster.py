"""(P) The columns of what governs a cluster: roles, certificates, budgets, priorities, leases, flow control."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from apiserver.api import meta
from apiserver.http.printers.common import NONE, UNSET, Object, age, human_duration, joined, spec, status


def _binding(obj: Object, now: datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []

    def named(kind: str) -> str:
        return joined(s.get("name", "") for s in subjects if s.get("kind") == kind)

    accounts = joined(
        f"{s.get('namespace', '')}/{s.get('name', '')}" for s in subjects if s.get("kind") == "ServiceAccount"
    )
    text = f"{role.get('kind', '')}/{role.get('name', '')}"
    return [meta.name(obj), text, age(obj, now), named("User"), named("Group"), accounts]


def certificate_request(obj: Object, now: datetime) -> list[Any]:
    seconds = spec(obj).get("expirationSeconds")
    return [
        meta.name(obj),
        age(obj, now),
        spec(obj).get("signerName") or NONE,
        spec(obj).get("username", ""),
        NONE if seconds is None else human_duration(timedelta(seconds=seconds)),
        _request_condition(obj),
    ]


def _request_condition(obj: Object) -> str:
    types = [c.get("type") for c in status(obj).get("conditions") or ()]
    words = [word for word in ("Approved", "Denied", "Failed") if word in types]
    if status(obj).get("certificate"):
        words.append("Issued")
    return ",".join(words) or "Pending"


def disruption_budget(obj: Object, now: datetime) -> list[Any]:
    limits = [spec(obj).get(field) for field in ("minAvailable", "maxUnavailable")]
    texts = ["N/A" if limit is None else str(limit) for limit in limits]
    return [meta.name(obj), *texts, status(obj).get("disruptionsAllowed", 0), age(obj, now)]


def priority_class(obj: Object, now: datetime) -> list[Any]:
    return [
        meta.name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def lease(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), spec(obj).get("holderIdentity") or "", age(obj, now)]


def runtime_class(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), obj.get("handler", ""), age(obj, now)]


def flow_schema(obj: Object, now: datetime) -> list[Any]:
    dangling = [c.get("status") for c in status(obj).get("conditions") or () if c.get("type") == "Dangling"]
    return [
        meta.name(obj),
        (spec(obj).get("priorityLevelConfiguration") or {}).get("name", ""),
        spec(obj).get("matchingPrecedence", 0),
        (spec(obj).get("distinguisherMethod") or {}).get("type") or NONE,
        age(obj, now),
        dangling[0] if dangling else "?",
    ]


def priority_level(obj: Object, now: datetime) -> list[Any]:
    limited = spec(obj).get("limited") or spec(obj).get("exempt") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    shares = limited.get("nominalConcurrencyShares")
    return [
        meta.name(obj),
        spec(obj).get("type", ""),
        NONE if shares is None else shares,
        *(queuing.get(field, NONE) for field in ("queues", "handSize", "queueLengthLimit")),
        age(obj, now),
    ]


def api_service(obj: Object, now: datetime) -> list[Any]:
    service = spec(obj).get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    found = [c for c in status(obj).get("conditions") or () if c.get("type") == "Available"]
    condition = found[0] if found else {}
    word = condition.get("status", "Unknown")
    if word != "True" and condition.get("reason"):
        word = f"{word} ({condition['reason']})"
    return [meta.name(obj), where, word, age(obj, now)]


def resource_claim(obj: Object, now: datetime) -> list[Any]:
    states = []
    if meta.is_deleting(obj):
        states.append("deleted")
    if status(obj).get("allocation"):
        states.append("allocated")
    if status(obj).get("reservedFor"):
        states.append("reserved")
    return [meta.name(obj), ",".join(states) or "pending", age(obj, now)]


def resource_slice(obj: Object, now: datetime) -> list[Any]:
    node = spec(obj).get("nodeName") or UNSET
    pool = (spec(obj).get("pool") or {}).get("name", "")
    return [meta.name(obj), node, spec(obj).get("driver", ""), pool, age(obj, now)]


PRINTERS = {
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("certificates.k8s.io", "CertificateSigningRequest"): certificate_request,
    ("policy", "PodDisruptionBudget"): disruption_budget,
    ("scheduling.k8s.io", "PriorityClass"): priority_class,
    ("coordination.k8s.io", "Lease"): lease,
    ("node.k8s.io", "RuntimeClass"): runtime_class,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): flow_schema,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): priority_level,
    ("apiregistration.k8s.io", "APIService"): api_service,
    ("resource.k8s.io", "ResourceClaim"): resource_claim,
    ("resource.k8s.io", "ResourceSlice"): resource_slice,
}
