"""A Deployment's status and conditions (P), which `kubectl rollout status` and `kubectl wait` read.

Source: progress.go and sync.go `calculateStatus`; the reasons and messages are the original's.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from apiserver.api import meta
from apiserver.api.meta import Object
from components.controllers.common.objects import replicas, spec, status, time_of
from components.controllers.deployment.replicasets import max_unavailable, status_total, wanted_total

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"
# The largest int32 means "no deadline".
_NO_DEADLINE = 2**31 - 1

Condition = dict[str, Any]


def has_deadline(deployment: Object) -> bool:
    deadline = spec(deployment).get("progressDeadlineSeconds")
    return deadline is not None and deadline != _NO_DEADLINE


def condition_of(state: Object, kind: str) -> Condition | None:
    return next((c for c in state.get("conditions") or () if c.get("type") == kind), None)


def new_condition(kind: str, value: str, reason: str, message: str, now: datetime) -> Condition:
    stamp = meta.format_time(now)
    return {
        "type": kind,
        "status": value,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
        "reason": reason,
        "message": message,
    }


def put_condition(state: Object, condition: Condition) -> None:
    """Set it unless one with the same status and reason is there; keep the time of the last status change."""
    current = condition_of(state, condition["type"])
    if current is not None:
        if (current["status"], current.get("reason")) == (condition["status"], condition["reason"]):
            return
        if current["status"] == condition["status"]:
            condition = {**condition, "lastTransitionTime": current.get("lastTransitionTime")}
    drop_condition(state, condition["type"])
    state["conditions"].append(condition)


def drop_condition(state: Object, kind: str) -> None:
    state["conditions"] = [c for c in state.get("conditions") or () if c.get("type") != kind]


def counts(deployment: Object, new: Object | None, old: list[Object], now: datetime) -> Object:
    """The status with its numbers and the Available condition; other conditions as they were."""
    everything = [*old, new] if new is not None else old
    ready = status_total(everything, "availableReplicas")
    state = copy.deepcopy(status(deployment))
    state.update(
        observedGeneration=meta.generation(deployment),
        replicas=status_total(everything, "replicas"),
        updatedReplicas=status_total([new] if new is not None else [], "replicas"),
        readyReplicas=status_total(everything, "readyReplicas"),
        availableReplicas=ready,
        unavailableReplicas=max(wanted_total(everything) - ready, 0),
        terminatingReplicas=status_total(everything, "terminatingReplicas"),
    )
    enough = ready >= replicas(deployment) - max_unavailable(deployment)
    put_condition(state, _availability(enough, now))
    return state


def _availability(enough: bool, now: datetime) -> Condition:
    if enough:
        text = "Deployment has minimum availability."
        return new_condition("Available", "True", "MinimumReplicasAvailable", text, now)
    text = "Deployment does not have minimum availability."
    return new_condition("Available", "False", "MinimumReplicasUnavailable", text, now)


def is_complete(deployment: Object, state: Object) -> bool:
    wanted = replicas(deployment)
    return (
        (state.get("updatedReplicas") or 0) == wanted
        and (state.get("replicas") or 0) == wanted
        and (state.get("availableReplicas") or 0) >= wanted - max_unavailable(deployment)
        and (state.get("observedGeneration") or 0) >= meta.generation(deployment)
    )


def rollout_status(deployment: Object, new: Object | None, old: list[Object], now: datetime) -> Object:
    """`counts`, with the Progressing condition moved on and the ReplicaSets' failure taken over."""
    state = counts(deployment, new, old, now)
    if not has_deadline(deployment):
        drop_condition(state, "Progressing")
    else:
        _estimate(deployment, state, new, now)
    failures = [condition_of(status(rs), "ReplicaFailure") for rs in ([new] if new is not None else []) + old]
    failure = next((f for f in failures if f is not None), None)
    if failure is None:
        drop_condition(state, "ReplicaFailure")
    else:
        put_condition(state, {**failure, "lastUpdateTime": failure.get("lastTransitionTime")})
    return state


def _estimate(deployment: Object, state: Object, new: Object | None, now: datetime) -> None:
    current = condition_of(status(deployment), "Progressing")
    finished = current is not None and current.get("reason") == NEW_AVAILABLE
    if finished and state["replicas"] == state["updatedReplicas"]:
        return
    subject = f'ReplicaSet "{meta.name(new)}"' if new is not None else f'Deployment "{meta.name(deployment)}"'
    if is_complete(deployment, state):
        text = f"{subject} has successfully progressed."
        put_condition(state, new_condition("Progressing", "True", NEW_AVAILABLE, text, now))
    elif _advanced(status(deployment), state):
        _note_progress(state, current, f"{subject} is progressing.", now)
    elif _timed_out(deployment, state, now):
        text = f"{subject} has timed out progressing."
        put_condition(state, new_condition("Progressing", "False", TIMED_OUT, text, now))


def _note_progress(state: Object, current: Condition | None, text: str, now: datetime) -> None:
    """Progress renews lastUpdateTime, from which the deadline counts, even if the reason stays the same."""
    condition = new_condition("Progressing", "True", "ReplicaSetUpdated", text, now)
    if current is not None and current["status"] == "True":
        condition["lastTransitionTime"] = current.get("lastTransitionTime")
    drop_condition(state, "Progressing")
    state["conditions"].append(condition)


def _advanced(before: Object, after: Object) -> bool:
    def old_pods(state: Object) -> int:
        return (state.get("replicas") or 0) - (state.get("updatedReplicas") or 0)

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    more = any((after.get(name) or 0) > (before.get(name) or 0) for name in grown)
    return more or old_pods(after) < old_pods(before)


def _timed_out(deployment: Object, state: Object, now: datetime) -> bool:
    condition = condition_of(state, "Progressing")
    if condition is None or condition.get("reason") == NEW_AVAILABLE:
        # A finished rollout that lost pods is not a stuck one.
        return False
    if condition.get("reason") == TIMED_OUT:
        return True
    return _deadline(deployment, condition, now) < now


def _deadline(deployment: Object, condition: Condition, now: datetime) -> datetime:
    started = time_of(condition.get("lastUpdateTime")) or now
    return started + timedelta(seconds=spec(deployment)["progressDeadlineSeconds"])


def check_after(deployment: Object, state: Object, now: datetime) -> float | None:
    """Seconds until a rollout that makes no progress has to be looked at again; None if none is running."""
    condition = condition_of(state, "Progressing")
    if condition is None or not has_deadline(deployment) or spec(deployment).get("paused"):
        return None
    if is_complete(deployment, state) or condition.get("reason") == TIMED_OUT:
        return None
    return max((_deadline(deployment, condition, now) - now).total_seconds(), 0.0) + 1


def pause_condition(deployment: Object, now: datetime) -> Condition | None:
    """The condition for a pause or resume not recorded yet, so that paused time counts for nothing."""
    if not has_deadline(deployment):
        return None
    current = condition_of(status(deployment), "Progressing")
    reason = (current or {}).get("reason")
    paused = bool(spec(deployment).get("paused"))
    if reason == TIMED_OUT or paused == (reason == PAUSED):
        return None
    if paused:
        return new_condition("Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    return new_condition("Progressing", "Unknown", RESUMED, "Deployment is resumed", now)
