"""Which pods to delete first when there are too many (P).

The order of the original's `ActivePodsWithRanks`, first difference decides, the smaller goes first:

    unassigned < assigned · Pending < Unknown < Running · not ready < ready · low < high deletion cost ·
    many < few related pods on the same node · ready for a short < long time · many < few restarts ·
    newer < older

Times are compared by the logarithm of the age and within one bucket by uid, so that pods of about the same
age are picked at random rather than strictly newest first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key

from apiserver.api import meta
from apiserver.api.meta import Object
from components.controllers.common.objects import created_at, ready_since, spec, status

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True)
class _Rank:
    static: tuple[int, int, int, int, int]
    ready: datetime | None
    restarts: int
    created: datetime
    uid: str


def deletion_cost(pod: Object) -> int:
    """The annotation's value; 0 where it is missing or not an int32, as the original reads it."""
    text = meta.annotations(pod).get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    if not digits.isdigit() or (digits != "0" and digits.startswith("0")):
        return 0
    value = int(text)
    return value if -(2**31) <= value < 2**31 else 0


def max_restarts(pod: Object) -> int:
    containers: list[Object] = status(pod).get("containerStatuses") or []
    return max((int(container.get("restartCount") or 0) for container in containers), default=0)


def order_for_deletion(pods: Iterable[Object], related: Iterable[Object], now: datetime) -> list[Object]:
    """`pods`, the ones to delete first in front; `related` are the active pods of the same application."""
    per_node = Counter(spec(pod).get("nodeName") or "" for pod in related)
    ranked = [(_rank(pod, per_node), pod) for pod in pods]

    def compare(a: tuple[_Rank, Object], b: tuple[_Rank, Object]) -> int:
        return _compare(a[0], b[0], now)

    return [pod for _, pod in sorted(ranked, key=cmp_to_key(compare))]


def _rank(pod: Object, per_node: Counter[str]) -> _Rank:
    node = spec(pod).get("nodeName") or ""
    ready = ready_since(pod)
    phase = _PHASES.get(status(pod).get("phase") or "", 0)
    return _Rank(
        static=(int(bool(node)), phase, int(ready is not None), deletion_cost(pod), -per_node[node]),
        ready=ready,
        restarts=max_restarts(pod),
        created=created_at(pod),
        uid=meta.uid(pod),
    )


def _compare(a: _Rank, b: _Rank, now: datetime) -> int:
    if a.static != b.static:
        return -1 if a.static < b.static else 1
    if a.ready is not None and b.ready is not None and a.ready != b.ready:
        return _by_age(a, b, a.ready, b.ready, now)
    if a.restarts != b.restarts:
        return -1 if a.restarts > b.restarts else 1
    if a.created != b.created:
        return _by_age(a, b, a.created, b.created, now)
    return 0


def _by_age(a: _Rank, b: _Rank, left: datetime, right: datetime, now: datetime) -> int:
    difference = _bucket(left, now) - _bucket(right, now)
    if difference:
        return difference
    return (a.uid > b.uid) - (a.uid < b.uid)


def _bucket(moment: datetime, now: datetime) -> int:
    nanoseconds = (now - moment).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds >= 1 else -1
