"""Watches budgets and pods, reads the scale of the pods' controllers, writes the budgets' status."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.labels import selector_from_label_selector
from apiserver.api.meta import Object
from components.client.informer import NAMESPACE_INDEX, Informer
from components.client.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    kind_of,
)
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.objects import replicas, spec
from components.controllers.disruption.plan import counts, disrupted, failed, needs_scale, plan

_SCALED = (REPLICATION_CONTROLLERS, REPLICA_SETS, STATEFUL_SETS)
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of the PDB cannot "
    "be calculated correctly, which may result in undefined behavior. To account for these pods please set "
    '".spec.minAvailable" field of the PDB to an integer value.'
)


class UnknownScaleError(ValueError):
    """A pod has a controller, but none that has a scale."""


class DisruptionController:
    name = "disruption-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._recorder = context.recorder("controllermanager")
        self._queue = WorkQueue()
        self._pods = context.pods()
        self._budgets = context.informers.informer(POD_DISRUPTION_BUDGETS)
        self._deployments = context.informers.informer(DEPLOYMENTS)
        self._owners: dict[str, tuple[GroupVersionResource, Informer]] = {
            kind_of(resource): (resource, context.informers.informer(resource)) for resource in _SCALED
        }
        self._budgets.add_handler(self._enqueue, lambda _, new: self._enqueue(new))
        self._pods.add_handler(self._pod_changed, self._pod_updated, self._pod_changed)

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, 1, self.name)

    def _enqueue(self, budget: Object) -> None:
        self._queue.add(meta.object_key(budget))

    def _pod_updated(self, old: Object, pod: Object) -> None:
        self._pod_changed(pod)
        if meta.labels(old) != meta.labels(pod):
            self._pod_changed(old)

    def _pod_changed(self, pod: Object) -> None:
        for budget in self._budgets.store.by_index(NAMESPACE_INDEX, meta.namespace(pod)):
            if _selects(budget, pod):
                self._enqueue(budget)

    async def sync(self, key: str) -> None:
        budget = self._budgets.store.get(key)
        if budget is None:
            return
        candidates = self._pods.store.by_index(NAMESPACE_INDEX, meta.namespace(budget))
        pods = [pod for pod in candidates if _selects(budget, pod)]
        if not pods:
            self._event(budget, "Normal", "NoPods", "No matching pods found")
        now = self._context.now()
        try:
            wanted = counts(budget, pods, self._scale(budget, pods) if needs_scale(budget) else 0)
        except ValueError as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self._event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            await self._write(budget, failed(budget, str(error), now))
            return
        gone = disrupted(budget, pods, now)
        for pod in gone.overdue:
            text = f"Pod was expected by PDB {key} to be deleted but it wasn't"
            self._recorder.event({**pod, "kind": "Pod", "apiVersion": "v1"}, "Warning", "NotDeleted", text)
        await self._write(budget, plan(budget, pods, wanted, gone.pods, now))
        if gone.next_check is not None:
            self._queue.add_after(key, (gone.next_check - now).total_seconds() + 0.001)

    def _scale(self, budget: Object, pods: list[Object]) -> int:
        """The replicas that the pods' controllers want, each controller counted once."""
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            reference = meta.controller_of(pod)
            if reference is None:
                unmanaged = True
            elif (owner := self._scaled_owner(reference, meta.namespace(pod))) is None:
                raise UnknownScaleError(f'found no controllers for pod "{meta.name(pod)}"')
            else:
                scales[meta.uid(owner)] = replicas(owner)
        if unmanaged:
            self._event(budget, "Warning", "UnmanagedPods", _UNMANAGED)
        return sum(scales.values())

    def _scaled_owner(self, reference: Object, namespace: str) -> Object | None:
        """The controller itself, or the Deployment of a ReplicaSet."""
        resource, informer = self._owners.get(reference["kind"], (None, None))
        if resource is None or informer is None or reference["apiVersion"] != resource.group_version:
            return None
        owner = informer.store.get(f"{namespace}/{reference['name']}")
        if owner is None or meta.uid(owner) != reference.get("uid"):
            return None
        parent = meta.controller_of(owner)
        if resource != REPLICA_SETS or parent is None:
            return owner
        deployment = self._deployments.store.get(f"{namespace}/{parent['name']}")
        return deployment if deployment is not None and meta.uid(deployment) == parent.get("uid") else None

    async def _write(self, budget: Object, status: Object | None) -> None:
        if status is not None:
            updated = {**_typed(budget), "status": status}
            await self._context.client.update(POD_DISRUPTION_BUDGETS, updated, subresource="status")

    def _event(self, budget: Object, kind: str, reason: str, message: str) -> None:
        self._recorder.event(_typed(budget), kind, reason, message)


def _typed(budget: Object) -> Object:
    """List items carry no kind; requests and events need it."""
    return {
        **budget,
        "apiVersion": POD_DISRUPTION_BUDGETS.group_version,
        "kind": kind_of(POD_DISRUPTION_BUDGETS),
    }


def _selects(budget: Object, pod: Object) -> bool:
    """A budget without a selector selects nothing, one with an empty selector everything."""
    selector = spec(budget).get("selector")
    return selector is not None and selector_from_label_selector(selector).matches(meta.labels(pod))
