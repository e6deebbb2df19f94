"""Sizes of ReplicaSets during a rollout, and when the Deployment itself is scaled (P).

Every function returns {ReplicaSet name: new size} for those that change. Invariants, given that each
ReplicaSet's status is no better than the truth: no step takes the available pods below
`replicas - maxUnavailable`, and none takes the wanted pods above `replicas + maxSurge`.
Source: rolling.go, recreate.go, sync.go `scale`.
"""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from components.controllers.common.objects import created_at, replicas, status
from components.controllers.deployment.replicasets import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    active,
    annotated,
    available,
    is_rolling,
    max_surge,
    max_unavailable,
    new_size,
    oldest_first,
    wanted_total,
)

Sizes = dict[str, int]


def grow_new(deployment: Object, new: Object, old: list[Object]) -> Sizes:
    """The new ReplicaSet towards its full size, or down to it."""
    wanted = replicas(deployment)
    if replicas(new) == wanted:
        return {}
    size = wanted if replicas(new) > wanted else new_size(deployment, [*old, new], new)
    return {meta.name(new): size} if size != replicas(new) else {}


def shrink_old(deployment: Object, new: Object, old: list[Object]) -> Sizes:
    """Old ReplicaSets as far down as availability allows: unhealthy pods first, then the oldest sets."""
    old = oldest_first(active(old))
    if not old:
        return {}
    min_available = replicas(deployment) - max_unavailable(deployment)
    new_unavailable = replicas(new) - available(new)
    budget = wanted_total([*old, new]) - min_available - new_unavailable
    if budget <= 0:
        return {}
    sizes = _drop_unhealthy(old, budget)
    spare = sum(available(rs) for rs in [*old, new]) - min_available
    for rs in old:
        size = sizes.get(meta.name(rs), replicas(rs))
        step = min(size, max(spare, 0))
        if step:
            sizes[meta.name(rs)] = size - step
            spare -= step
    return sizes


def _drop_unhealthy(old: list[Object], budget: int) -> Sizes:
    """ReplicaSets delete pods that are not ready first, so taking these away costs no availability."""
    sizes: Sizes = {}
    for rs in old:
        step = min(budget, replicas(rs) - available(rs))
        if step > 0:
            sizes[meta.name(rs)] = replicas(rs) - step
            budget -= step
    return sizes


def scale_event(deployment: Object, sets: list[Object]) -> bool:
    """Whether the Deployment was scaled since its active ReplicaSets were sized."""
    wanted = replicas(deployment)
    return any(annotated(rs, DESIRED_REPLICAS) not in (None, wanted) for rs in active(sets))


def rescale(deployment: Object, new: Object | None, old: list[Object]) -> Sizes:
    """Sizes after a scaling of the Deployment, or while it is paused."""
    everything = [*old, new] if new is not None else old
    if not everything:
        return {}
    running = active(everything)
    if len(running) <= 1:
        target = running[0] if running else new if new is not None else oldest_first(old)[-1]
        return {meta.name(target): replicas(deployment)}
    if new is not None and _saturated(deployment, new):
        return {meta.name(rs): 0 for rs in active(old)}
    return _proportional(deployment, running) if is_rolling(deployment) else {}


def _saturated(deployment: Object, new: Object) -> bool:
    wanted = replicas(deployment)
    return replicas(new) == wanted and annotated(new, DESIRED_REPLICAS) == wanted


def _proportional(deployment: Object, running: list[Object]) -> Sizes:
    """Spread the change over the active ReplicaSets by share, so that scaling does not speed up a rollout."""
    wanted = replicas(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - wanted_total(running)
    ordered = _largest_first(running, newer_first=to_add > 0)
    sizes: Sizes = {}
    added = 0
    for rs in ordered:
        share = _share(rs, deployment, to_add, added)
        sizes[meta.name(rs)] = replicas(rs) + share
        added += share
    first = meta.name(ordered[0])
    sizes[first] = max(sizes[first] + to_add - added, 0)
    return sizes


def _largest_first(sets: list[Object], *, newer_first: bool) -> list[Object]:
    by_age = sorted(sets, key=lambda rs: (created_at(rs), meta.name(rs)), reverse=newer_first)
    return sorted(by_age, key=replicas, reverse=True)


def _share(rs: Object, deployment: Object, to_add: int, added: int) -> int:
    if replicas(rs) == 0 or to_add == added:
        return 0
    fraction = _fraction(rs, deployment)
    return min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)


def _fraction(rs: Object, deployment: Object) -> int:
    size = replicas(rs)
    if replicas(deployment) == 0:
        return -size
    before = annotated(rs, MAX_REPLICAS) or int(status(deployment).get("replicas") or 0)
    if before == 0:
        return 0
    after = replicas(deployment) + max_surge(deployment)
    return int(size * after / before + 0.5) - size
