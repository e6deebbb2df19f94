"""The status of a disruption budget (P). Source: pkg/controller/disruption/disruption.go.

`pods/eviction` takes one of the allowed disruptions for each eviction and notes the pod as disrupted; the pod
counts as gone from then on, for two minutes at most, so that no second eviction slips in before it is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apiserver.api import meta
from apiserver.api.conditions import set_condition
from apiserver.api.intstr import scaled_value
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_ready
from components.controllers.common.objects import spec, status

DELETION_TIMEOUT = timedelta(minutes=2)
_CONDITION = "DisruptionAllowed"


@dataclass(frozen=True)
class Counts:
    """`expected` pods should exist, `desired` of them healthy."""

    expected: int
    desired: int


@dataclass(frozen=True)
class Disrupted:
    """Evicted pods that are not on their way out yet; pods whose deletion never came; when to look again."""

    pods: dict[str, str]
    overdue: tuple[Object, ...]
    next_check: datetime | None


def needs_scale(budget: Object) -> bool:
    """True if the budget counts against what the pods' controllers want, not against the pods there are."""
    return not isinstance(spec(budget).get("minAvailable"), int)


def counts(budget: Object, pods: Sequence[Object], scale: int) -> Counts:
    """`scale` is the sum over the pods' controllers; raises ValueError for a name in place of a percentage."""
    wanted = spec(budget)
    if wanted.get("maxUnavailable") is not None:
        unavailable = scaled_value(wanted["maxUnavailable"], scale, round_up=True)
        return Counts(scale, max(0, scale - unavailable))
    least = wanted.get("minAvailable")
    if isinstance(least, int):
        return Counts(len(pods), least)
    return Counts(scale, scaled_value(least, scale, round_up=True)) if least else Counts(0, 0)


def disrupted(budget: Object, pods: Sequence[Object], now: datetime) -> Disrupted:
    noted: Mapping[str, str] = status(budget).get("disruptedPods") or {}
    waiting: dict[str, str] = {}
    overdue: list[Object] = []
    deadlines: list[datetime] = []
    for pod in pods:
        since = noted.get(meta.name(pod))
        if since is None or meta.is_deleting(pod):
            continue
        deadline = meta.parse_time(since) + DELETION_TIMEOUT
        if deadline < now:
            overdue.append(pod)
        else:
            waiting[meta.name(pod)] = since
            deadlines.append(deadline)
    return Disrupted(waiting, tuple(overdue), min(deadlines, default=None))


def plan(
    budget: Object, pods: Sequence[Object], wanted: Counts, gone: Mapping[str, str], now: datetime
) -> Object | None:
    """The status to write; None if the budget has it."""
    healthy = sum(
        is_pod_ready(pod) and not meta.is_deleting(pod) and meta.name(pod) not in gone for pod in pods
    )
    # A budget that matches no pod yet must not allow disruptions of the first ones before it has seen them.
    allowed = max(0, healthy - wanted.desired) if wanted.expected > 0 else 0
    generation = meta.generation(budget)
    reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    result: Object = {
        "conditions": _conditions(budget, *reason, "", generation, now),
        "currentHealthy": healthy,
        "desiredHealthy": wanted.desired,
        "disruptionsAllowed": allowed,
        "expectedPods": wanted.expected,
        "observedGeneration": generation,
    }
    if gone:
        result["disruptedPods"] = dict(gone)
    return None if result == status(budget) else result


def failed(budget: Object, error: str, now: datetime) -> Object | None:
    """The status when nothing is known: no disruption is allowed. None if the budget has it."""
    observed = int(status(budget).get("observedGeneration") or 0)
    conditions = _conditions(budget, "False", "SyncFailed", error, observed, now)
    result = {**status(budget), "disruptionsAllowed": 0, "conditions": conditions}
    return None if result == status(budget) else result


def _conditions(
    budget: Object, value: str, reason: str, message: str, generation: int, now: datetime
) -> list[Object]:
    conditions = [dict(condition) for condition in status(budget).get("conditions") or ()]
    new = {"type": _CONDITION, "status": value, "reason": reason, "message": message}
    set_condition(conditions, {**new, "observedGeneration": generation}, meta.format_time(now))
    return conditions
