"""Small readers of workload objects (P): replicas, selectors, templates, times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apiserver.api import meta
from apiserver.api.conditions import get_condition
from apiserver.api.labels import Selector, selector_from_label_selector, selector_from_set
from apiserver.api.meta import Object

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def spec(obj: Mapping[str, Any]) -> Object:
    return obj.get("spec") or {}


def status(obj: Mapping[str, Any]) -> Object:
    return obj.get("status") or {}


def replicas(obj: Mapping[str, Any]) -> int:
    """The wanted number; 1 when unset, as the API defaults it."""
    wanted = spec(obj).get("replicas")
    return 1 if wanted is None else int(wanted)


def min_ready_seconds(obj: Mapping[str, Any]) -> int:
    return int(spec(obj).get("minReadySeconds") or 0)


def selector_of(obj: Mapping[str, Any]) -> Selector:
    """The selector of a workload: a label selector, or the plain map of a ReplicationController."""
    raw = spec(obj).get("selector") or {}
    if "matchLabels" in raw or "matchExpressions" in raw:
        return selector_from_label_selector(raw)
    return selector_from_set(raw)


def has_empty_selector(obj: Mapping[str, Any]) -> bool:
    raw = spec(obj).get("selector") or {}
    if "matchLabels" in raw or "matchExpressions" in raw:
        return not raw.get("matchLabels") and not raw.get("matchExpressions")
    return not raw


def created_at(obj: Mapping[str, Any]) -> datetime:
    return time_of(meta.metadata(obj).get("creationTimestamp")) or EPOCH


def time_of(text: str | None) -> datetime | None:
    return meta.parse_time(text) if text else None


def ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """When the pod last became ready; None if it is not."""
    condition = get_condition(dict(pod), "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    return time_of(condition.get("lastTransitionTime")) or EPOCH


def available_at(pod: Mapping[str, Any], min_ready: int) -> datetime | None:
    """When a ready pod counts as available; None while it is not ready."""
    since = ready_since(pod)
    return None if since is None else since + timedelta(seconds=min_ready)


def is_available(pod: Mapping[str, Any], min_ready: int, now: datetime) -> bool:
    moment = available_at(pod, min_ready)
    return moment is not None and (min_ready == 0 or moment <= now)


def next_availability(pods: list[Object], min_ready: int, now: datetime) -> float | None:
    """Seconds until the next ready pod becomes available; None if there is none to wait for."""
    moments = [available_at(pod, min_ready) for pod in pods]
    waiting = [(moment - now).total_seconds() for moment in moments if moment is not None and moment > now]
    return min(waiting) if waiting and min_ready else None


def controller_uid(obj: Mapping[str, Any]) -> str:
    reference = meta.controller_of(obj)
    return (reference or {}).get("uid") or ""
