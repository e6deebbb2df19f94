"""Watches owners and pods, runs the plan, writes pods and status.

One class serves both kinds; `OwnerKind` says what differs. Expectations keep a sync from creating or
deleting again what the pod informer has not shown yet; they live in memory only, and a restarted
controller starts from a fresh list instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_ready
from components.client.errors import ApiError
from components.client.expectations import Expectations
from components.client.informer import NAMESPACE_INDEX
from components.client.resources import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, kind_of
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import (
    BY_CONTROLLER,
    ControllerContext,
    index_by_controller,
    loop_time,
    orphans_of,
)
from components.controllers.common.objects import (
    controller_uid,
    has_empty_selector,
    min_ready_seconds,
    selector_of,
    spec,
)
from components.controllers.common.ownership import Ownership
from components.controllers.common.podcontrol import (
    PodControl,
    gather_limited,
    namespace_is_terminating,
    slow_start_batch,
)
from components.controllers.common.templates import pod_from_template
from components.controllers.replicaset.plan import (
    Failure,
    ReplicaPlan,
    plan_replicas,
    plan_status,
    requeue_after,
)


@dataclass(frozen=True)
class OwnerKind:
    resource: GroupVersionResource
    controller: str
    component: str
    count_terminating: bool

    @property
    def kind(self) -> str:
        return kind_of(self.resource)


REPLICA_SET = OwnerKind(REPLICA_SETS, "replicaset-controller", "replicaset-controller", True)
REPLICATION_CONTROLLER = OwnerKind(
    REPLICATION_CONTROLLERS, "replicationcontroller-controller", "replication-controller", False
)


class ReplicaController:
    def __init__(self, context: ControllerContext, kind: OwnerKind, workers: int) -> None:
        self.name = kind.controller
        self._context = context
        self._kind = kind
        self._workers = workers
        self._recorder = context.recorder(kind.component)
        self._pod_control = PodControl(context.client, self._recorder)
        self._ownership = Ownership(context.client, PODS, kind.resource)
        self._expectations = Expectations(loop_time)
        self._queue = WorkQueue()
        self._pods = context.pods()
        self._owners = context.informers.informer(
            kind.resource, indexers={BY_CONTROLLER: index_by_controller}
        )
        self._pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)
        self._owners.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._owner_deleted)

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, self._workers, self.name)

    # Events

    def _enqueue(self, owner: Object) -> None:
        self._queue.add(meta.object_key(owner))

    def _owner_deleted(self, owner: Object) -> None:
        key = meta.object_key(owner)
        self._expectations.delete(key)
        self._queue.add(key)

    def _pod_added(self, pod: Object) -> None:
        if meta.is_deleting(pod):
            # Seen for the first time when already on its way out, after a restart.
            self._pod_deleted(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            self._expectations.creation_observed(meta.object_key(owner))
            self._enqueue(owner)
        elif meta.controller_of(pod) is None:
            self._enqueue_matching(pod)

    def _pod_updated(self, old: Object, pod: Object) -> None:
        if meta.is_deleting(pod):
            self._pod_deleted(pod)
            if meta.labels(pod) != meta.labels(old):
                self._pod_deleted(old)
            return
        old_owner, owner = self._owner_of(old), self._owner_of(pod)
        if old_owner is not None and controller_uid(old) != controller_uid(pod):
            self._enqueue(old_owner)
        if owner is not None:
            self._enqueue(owner)
            if not is_pod_ready(old) and is_pod_ready(pod) and min_ready_seconds(owner):
                self._queue.add_after(meta.object_key(owner), min_ready_seconds(owner) + 1)
        elif meta.controller_of(pod) is None and _owner_or_labels_changed(old, pod):
            self._enqueue_matching(pod)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._expectations.deletion_observed(meta.object_key(owner), meta.uid(pod))
            self._enqueue(owner)

    def _owner_of(self, pod: Object) -> Object | None:
        reference = meta.controller_of(pod)
        if reference is None or reference.get("kind") != self._kind.kind:
            return None
        owner = self._owners.store.get(f"{meta.namespace(pod)}/{reference.get('name')}")
        return owner if owner is not None and meta.uid(owner) == reference.get("uid") else None

    def _enqueue_matching(self, pod: Object) -> None:
        for owner in self._owners.store.by_index(NAMESPACE_INDEX, meta.namespace(pod)):
            if not has_empty_selector(owner) and selector_of(owner).matches(meta.labels(pod)):
                self._enqueue(owner)

    # Reconciliation

    async def sync(self, key: str) -> None:
        owner = self._owners.store.get(key)
        if owner is None:
            self._expectations.delete(key)
            return
        settled = self._expectations.satisfied(key)
        pods = await self._ownership.claim(owner, selector_of(owner), self._candidates(owner))
        failure, error = None, None
        if settled and not meta.is_deleting(owner):
            plan = plan_replicas(owner, pods, self._related(owner, pods), self._context.now())
            failure, error = await self._carry_out(key, owner, plan)
        await self._write_status(owner, pods, failure)
        if error is not None:
            raise error
        wait = requeue_after(owner, pods, self._context.now())
        if wait is not None:
            self._queue.add_after(key, wait + 0.001)

    def _candidates(self, owner: Object) -> list[Object]:
        owned = self._pods.store.by_index(BY_CONTROLLER, meta.uid(owner))
        return owned + self._pods.store.by_index(BY_CONTROLLER, orphans_of(meta.namespace(owner)))

    def _related(self, owner: Object, pods: list[Object]) -> list[Object]:
        """The pods of all owners that share this one's controller: those a Deployment spreads over nodes."""
        parent = controller_uid(owner)
        if not parent:
            return pods
        siblings = self._owners.store.by_index(BY_CONTROLLER, parent)
        store = self._pods.store
        return [pod for sibling in siblings for pod in store.by_index(BY_CONTROLLER, meta.uid(sibling))]

    async def _carry_out(
        self, key: str, owner: Object, plan: ReplicaPlan
    ) -> tuple[Failure | None, ApiError | None]:
        if plan.create:
            error = await self._create(key, owner, plan.create)
            return (Failure("FailedCreate", error.message), error) if error else (None, None)
        if plan.delete:
            error = await self._delete(key, owner, plan.delete)
            return (Failure("FailedDelete", error.message), error) if error else (None, None)
        return None, None

    async def _create(self, key: str, owner: Object, count: int) -> ApiError | None:
        self._expectations.expect_creations(key, count)
        typed = self._typed(owner)
        template = spec(owner).get("template") or {}

        async def create(_: int) -> None:
            pod = pod_from_template(template, owner, self._kind.resource.group_version, self._kind.kind)
            try:
                await self._pod_control.create(pod, typed)
            except ApiError as error:
                self._expectations.creation_observed(key)
                if not namespace_is_terminating(error):
                    raise

        result = await slow_start_batch(count, create)
        for _ in range(result.skipped):
            self._expectations.creation_observed(key)
        return result.error

    async def _delete(self, key: str, owner: Object, pods: tuple[Object, ...]) -> ApiError | None:
        self._expectations.expect_deletions(key, [meta.uid(pod) for pod in pods])
        typed = self._typed(owner)
        errors = await gather_limited([self._deletion(key, typed, pod) for pod in pods])
        return next((error for error in errors if error is not None), None)

    def _deletion(self, key: str, owner: Object, pod: Object) -> Callable[[], Awaitable[ApiError | None]]:
        async def delete() -> ApiError | None:
            try:
                await self._pod_control.delete(pod, owner)
            except ApiError as error:
                self._expectations.deletion_observed(key, meta.uid(pod))
                return None if error.is_not_found else error
            return None

        return delete

    async def _write_status(self, owner: Object, pods: list[Object], failure: Failure | None) -> None:
        status = plan_status(
            owner, pods, failure, self._context.now(), count_terminating=self._kind.count_terminating
        )
        if status is not None:
            updated = {**self._typed(owner), "status": status}
            await self._context.client.update(self._kind.resource, updated, subresource="status")

    def _typed(self, owner: Object) -> Object:
        """List items carry no kind; requests and events need it."""
        return {**owner, "apiVersion": self._kind.resource.group_version, "kind": self._kind.kind}


def _owner_or_labels_changed(old: Object, new: Object) -> bool:
    return meta.labels(old) != meta.labels(new) or controller_uid(old) != controller_uid(new)
