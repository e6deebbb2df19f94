"""How many pods to create, which to delete, and what the status says (P).

Fed by `controller` with the owner, the pods it owns and the time; the same for ReplicaSets and
ReplicationControllers. Source: the original's replica_set.go and replica_set_utils.go.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apiserver.api import meta
from apiserver.api.conditions import get_condition, remove_condition
from apiserver.api.labels import selector_from_set
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_active, is_pod_ready, is_pod_terminal
from components.controllers.common.objects import (
    is_available,
    min_ready_seconds,
    next_availability,
    replicas,
    spec,
    status,
)
from components.controllers.common.ranking import order_for_deletion

# At most this many pods are created or deleted before the results must have been seen.
BURST_REPLICAS = 500


@dataclass(frozen=True)
class ReplicaPlan:
    create: int
    delete: tuple[Object, ...]

    @property
    def difference(self) -> int:
        """Negative: pods are missing; positive: there are too many."""
        return len(self.delete) - self.create


@dataclass(frozen=True)
class Failure:
    """What went wrong while the plan was carried out; `reason` is FailedCreate or FailedDelete."""

    reason: str
    message: str


def plan_replicas(
    owner: Object, pods: list[Object], related: list[Object], now: datetime, burst: int = BURST_REPLICAS
) -> ReplicaPlan:
    """`pods` are the owner's, `related` those of its whole Deployment; only active ones count."""
    active = [pod for pod in pods if is_pod_active(pod)]
    surplus = len(active) - replicas(owner)
    if surplus <= 0:
        return ReplicaPlan(min(-surplus, burst), ())
    if surplus < len(active):
        active = order_for_deletion(active, [pod for pod in related if is_pod_active(pod)], now)
    return ReplicaPlan(0, tuple(active[: min(surplus, burst)]))


def plan_status(
    owner: Object, pods: list[Object], failure: Failure | None, now: datetime, *, count_terminating: bool
) -> Object | None:
    """The new status, or None if the recorded one says the same. No `failure`: the sync went well."""
    new = copy.deepcopy(status(owner))
    new.update(_counts(owner, pods, now, count_terminating))
    new["observedGeneration"] = meta.generation(owner)
    conditions = new.get("conditions") or []
    _set_failure(owner, conditions, failure, now)
    new["conditions"] = conditions
    return None if _same(new, status(owner)) else _without_zeros(new)


def requeue_after(owner: Object, pods: list[Object], now: datetime) -> float | None:
    """Seconds until a ready pod will have been ready for minReadySeconds, if one is waiting for that."""
    active = [pod for pod in pods if is_pod_active(pod)]
    return next_availability(active, min_ready_seconds(owner), now)


def _counts(owner: Object, pods: list[Object], now: datetime, count_terminating: bool) -> dict[str, int]:
    template_labels = (spec(owner).get("template") or {}).get("metadata", {}).get("labels") or {}
    template_selector = selector_from_set(template_labels)
    min_ready = min_ready_seconds(owner)
    active = [pod for pod in pods if is_pod_active(pod)]
    ready = [pod for pod in active if is_pod_ready(pod)]
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_selector.matches(meta.labels(pod)) for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in ready),
    }
    if count_terminating:
        counts["terminatingReplicas"] = sum(meta.is_deleting(p) and not is_pod_terminal(p) for p in pods)
    return counts


def _set_failure(
    owner: Object, conditions: list[dict[str, Any]], failure: Failure | None, now: datetime
) -> None:
    if failure is None:
        remove_condition(conditions, "ReplicaFailure")
    elif get_condition(owner, "ReplicaFailure") is None:
        conditions.append(
            {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": meta.format_time(now),
                "reason": failure.reason,
                "message": failure.message,
            }
        )


_NUMBERS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "terminatingReplicas",
    "observedGeneration",
)


def _same(new: Object, old: Object) -> bool:
    numbers = all((new.get(name) or 0) == (old.get(name) or 0) for name in _NUMBERS)
    seen = "terminatingReplicas" not in new or "terminatingReplicas" in old
    return numbers and seen and (new.get("conditions") or []) == (old.get("conditions") or [])


def _without_zeros(new: Object) -> Object:
    """As it is written: only `replicas` and `terminatingReplicas` appear when they are 0."""
    kept = ("replicas", "terminatingReplicas")
    return {name: value for name, value in new.items() if value or name in kept}
