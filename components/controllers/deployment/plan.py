"""One step of a Deployment (P): what to create, change, delete, and what to report.

    plan() ── deleting ──────────────► status only
         ├── paused, or just scaled ─► sizes by proportion, history, status
         ├── Recreate ───────────────► old to 0, wait for their pods to end, then the new one
         └── RollingUpdate ──────────► new up, or else old down, status with progress

Each call makes at most one move; the writes it causes come back as events and call for the next one.
Fed by `controller` with cached objects; carries out nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from apiserver.api import meta
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_terminal
from components.controllers.common.objects import replicas, spec, status
from components.controllers.deployment import progress, scaling
from components.controllers.deployment.replicasets import (
    REVISION,
    find_new,
    is_rolling,
    new_replica_set,
    oldest_first,
    revision,
    status_total,
    synced_new,
    with_scale,
)


@dataclass(frozen=True)
class Update:
    """Write `replica_set`; `event` is recorded if the size changed."""

    replica_set: Object
    event: str = ""


@dataclass(frozen=True)
class Plan:
    """In this order: create, updates, deletions, the revision annotation, the status (if it differs)."""

    status: Object
    create: Object | None = None
    updates: tuple[Update, ...] = ()
    deletions: tuple[Object, ...] = ()
    revision: str | None = None
    check_after: float | None = None


@dataclass(frozen=True)
class State:
    deployment: Object
    new: Object | None
    old: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)

    @property
    def everything(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else self.old


def plan(deployment: Object, replica_sets: list[Object], pods: list[Object], now: datetime) -> Plan:
    """`replica_sets` are the Deployment's own; `pods` are theirs (read for Recreate only)."""
    new = find_new(deployment, replica_sets)
    old = [rs for rs in replica_sets if new is None or meta.uid(rs) != meta.uid(new)]
    state = State(deployment, new, old, pods)
    if meta.is_deleting(deployment):
        return _finish(Plan(progress.counts(deployment, new, old, now)), state, now)
    paused = progress.pause_condition(deployment, now)
    if paused is not None:
        # In a step of its own, as everything that follows starts from the recorded status.
        recorded = {**status(deployment), "conditions": list(status(deployment).get("conditions") or ())}
        progress.put_condition(recorded, paused)
        state = replace(state, deployment={**deployment, "status": recorded})
    return _plan_live(_sync_revision(state), now)


def _plan_live(state: State, now: datetime) -> Plan:
    deployment = state.deployment
    if spec(deployment).get("paused") or scaling.scale_event(deployment, state.everything):
        sizes = scaling.rescale(deployment, state.new, state.old)
        return _finish(_resize(state, sizes, now, progress_too=False), state, now, clean=True)
    if is_rolling(deployment):
        return _plan_rolling(state, now)
    return _plan_recreate(state, now)


def _sync_revision(state: State) -> State:
    """The new ReplicaSet as it should be annotated; `_finish` writes it if that changed it."""
    if state.new is None:
        return state
    number = max((revision(rs) for rs in state.old), default=0) + 1
    return replace(state, new=synced_new(state.new, state.deployment, number))


def _plan_rolling(state: State, now: datetime) -> Plan:
    if state.new is None:
        return _plan_creation(state, now)
    sizes = scaling.grow_new(state.deployment, state.new, state.old)
    if not sizes:
        sizes = scaling.shrink_old(state.deployment, state.new, state.old)
    return _finish(_resize(state, sizes, now), state, now, clean=not sizes)


def _plan_recreate(state: State, now: datetime) -> Plan:
    running = {meta.name(rs): 0 for rs in state.old if replicas(rs) > 0}
    if running:
        return _finish(_resize(state, running, now), state, now)
    if _old_pods_running(state):
        return _finish(_resize(state, {}, now), state, now)
    if state.new is None:
        return _plan_creation(state, now)
    sizes = {meta.name(state.new): replicas(state.deployment)}
    return _finish(_resize(state, sizes, now), state, now, clean=True)


def _old_pods_running(state: State) -> bool:
    if status_total(state.old, "replicas") > 0:
        return True
    new_uid = meta.uid(state.new) if state.new is not None else None
    owned = [pod for pod in state.pods if (meta.controller_of(pod) or {}).get("uid") != new_uid]
    return any(not is_pod_terminal(pod) for pod in owned)


def _plan_creation(state: State, now: datetime) -> Plan:
    deployment = state.deployment
    number = max((revision(rs) for rs in state.old), default=0) + 1
    created = new_replica_set(deployment, state.old, number)
    new_status = progress.rollout_status(
        _announce_creation(deployment, created, now), created, state.old, now
    )
    return Plan(
        status=new_status,
        create=created,
        revision=meta.annotations(created)[REVISION],
        check_after=progress.check_after(deployment, new_status, now),
    )


def _announce_creation(deployment: Object, created: Object, now: datetime) -> Object:
    if not progress.has_deadline(deployment):
        return deployment
    text = f'Created new replica set "{meta.name(created)}"'
    condition = progress.new_condition("Progressing", "True", "NewReplicaSetCreated", text, now)
    return _with_condition(deployment, condition)


def _with_condition(deployment: Object, condition: progress.Condition) -> Object:
    recorded = {**status(deployment), "conditions": list(status(deployment).get("conditions") or ())}
    progress.put_condition(recorded, condition)
    return {**deployment, "status": recorded}


def _resize(state: State, sizes: scaling.Sizes, now: datetime, *, progress_too: bool = True) -> Plan:
    """The updates for `sizes`, and the status from the ReplicaSets as they will be."""
    updates, after = [], {}
    for rs in state.everything:
        name = meta.name(rs)
        changed = with_scale(rs, sizes[name], state.deployment) if name in sizes else rs
        after[name] = changed
        if changed is not rs:
            updates.append(Update(changed, scale_message(rs, replicas(changed))))
    new = after[meta.name(state.new)] if state.new is not None else None
    old = [after[meta.name(rs)] for rs in state.old]
    deployment = _found(state, now)
    report = progress.rollout_status if progress_too else progress.counts
    return Plan(status=report(deployment, new, old, now), updates=tuple(updates))


def _found(state: State, now: datetime) -> Object:
    """A rollout whose beginning was not seen starts when its ReplicaSet is found."""
    deployment = state.deployment
    known = progress.condition_of(status(deployment), "Progressing") is not None
    if state.new is None or known or not progress.has_deadline(deployment):
        return deployment
    text = f'Found new replica set "{meta.name(state.new)}"'
    return _with_condition(
        deployment, progress.new_condition("Progressing", "True", "FoundNewReplicaSet", text, now)
    )


def scale_message(rs: Object, size: int) -> str:
    before = replicas(rs)
    if before == size:
        return ""
    direction = "up" if size > before else "down"
    return f"Scaled {direction} replica set {meta.name(rs)} from {before} to {size}"


def _finish(result: Plan, state: State, now: datetime, *, clean: bool = False) -> Plan:
    """Adds what every step ends with: the new ReplicaSet's record, history limit, the deadline's timer."""
    deployment = state.deployment
    updates = result.updates
    if state.new is not None and not any(_same_name(u.replica_set, state.new) for u in updates):
        # Only written if it differs from the cached one: see `controller`.
        updates = (*updates, Update(state.new))
    number = meta.annotations(state.new).get(REVISION) if state.new is not None else None
    return replace(
        result,
        updates=updates,
        deletions=_beyond_history(deployment, state.old) if clean else (),
        revision=number,
        check_after=progress.check_after(deployment, result.status, now),
    )


def _same_name(left: Object, right: Object) -> bool:
    return meta.name(left) == meta.name(right)


def _beyond_history(deployment: Object, old: list[Object]) -> tuple[Object, ...]:
    limit = spec(deployment).get("revisionHistoryLimit")
    if limit is None or not (
        spec(deployment).get("paused") or progress.is_complete(deployment, status(deployment))
    ):
        return ()
    alive = [rs for rs in oldest_first(old) if not meta.is_deleting(rs)]
    surplus = alive[: max(len(alive) - limit, 0)]
    return tuple(rs for rs in surplus if _is_empty(rs))


def _is_empty(rs: Object) -> bool:
    seen = meta.generation(rs) <= (status(rs).get("observedGeneration") or 0)
    return seen and replicas(rs) == 0 and not status(rs).get("replicas")
