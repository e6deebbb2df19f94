"""(P) Pods against quotas: their number, what they request and are limited to, and their scopes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from apiserver.api import meta
from apiserver.api.gvk import GroupResource
from apiserver.api.meta import Object
from apiserver.api.pods import containers, init_containers, is_pod_terminal, pod_limits, pod_qos, pod_requests
from apiserver.api.quantity import Quantity
from apiserver.api.quota import amounts
from apiserver.api.quota.amounts import Amounts
from apiserver.api.quota.evaluator import ONE, Evaluator, matches_value

_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_NAMES: Final = frozenset(
    (
        "count/pods",
        "pods",
        *_COMPUTE,
        *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE),
    )
)
_REQUESTS: Final = "requests."
_HUGE: Final = "hugepages-"
# A container must say these once a quota limits them. A mistake of the early days that is kept, and not extended.
_REQUIRED: Final = frozenset(name for name in _NAMES if name.rpartition(".")[2] in ("cpu", "memory"))


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def tracks(name: str) -> bool:
    if name in _NAMES or name.startswith((_HUGE, _REQUESTS + _HUGE)):
        return True
    return name.startswith(_REQUESTS) and not _is_native(name)


def usage(pod: Object, now: datetime) -> Amounts:
    """A pod that has ended, or should have by now, counts only as an object."""
    counted = {"count/pods": ONE}
    if is_pod_terminal(pod) or _overdue(pod, now):
        return counted
    return counted | _compute(pod_requests(pod), pod_limits(pod))


def _overdue(pod: Object, now: datetime) -> bool:
    deadline, grace = (
        meta.metadata(pod).get("deletionTimestamp"),
        meta.metadata(pod).get("deletionGracePeriodSeconds"),
    )
    if not deadline or grace is None:
        return False
    return now > meta.parse_time(deadline) + timedelta(seconds=grace)


def _compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Amounts:
    found: Amounts = {"pods": ONE}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith(_HUGE):
            found[name] = amount
        if name in _COMPUTE or name.startswith(_HUGE) or not _is_native(name):
            found[_REQUESTS + name] = amount
    found |= {f"limits.{name}": limits[name] for name in _COMPUTE if name in limits}
    return found


def missing(required: Collection[str], pod: Object) -> str:
    """``must specify limits.memory for: a,b; requests.cpu for: c``"""
    lacking: dict[str, set[str]] = {}
    for container in [*containers(pod), *init_containers(pod)]:
        resources = container.get("resources") or {}
        said = _compute(amounts.parse(resources.get("requests")), amounts.parse(resources.get("limits")))
        for name in _REQUIRED.intersection(required) - said.keys():
            lacking.setdefault(name, set()).add(container["name"])
    parts = [f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking)]
    return f"must specify {'; '.join(parts)}" if parts else ""


def in_scope(scope: Object, pod: Object) -> bool:
    name, spec = str(scope["scopeName"]), pod.get("spec") or {}
    if name in ("Terminating", "NotTerminating"):
        deadline = spec.get("activeDeadlineSeconds")
        return (deadline is not None and deadline >= 0) == (name == "Terminating")
    if name in ("BestEffort", "NotBestEffort"):
        return (pod_qos(pod) == "BestEffort") == (name == "BestEffort")
    if name == "PriorityClass":
        return matches_value(scope, spec.get("priorityClassName"))
    if name == "CrossNamespacePodAffinity":
        return any(
            term.get("namespaces") or term.get("namespaceSelector") is not None for term in _terms(spec)
        )
    return False


def _terms(spec: Object) -> Iterator[Object]:
    """Every (anti-)affinity term of the pod."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _resizes(subresource: str, new: Object, old: Object) -> bool:
    return subresource == "resize"


PODS: Final = Evaluator(GroupResource("", "pods"), usage, tracks, in_scope, missing, _resizes)
