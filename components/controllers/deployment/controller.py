"""Watches Deployments, ReplicaSets and pods; carries out one plan per sync."""

from __future__ import annotations

import logging

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.informer import NAMESPACE_INDEX
from components.client.resources import DEPLOYMENTS, REPLICA_SETS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import (
    BY_CONTROLLER,
    ControllerContext,
    index_by_controller,
    orphans_of,
)
from components.controllers.common.objects import (
    controller_uid,
    has_empty_selector,
    replicas,
    selector_of,
    spec,
    status,
)
from components.controllers.common.ownership import Ownership
from components.controllers.common.podcontrol import namespace_is_terminating
from components.controllers.deployment import progress
from components.controllers.deployment.plan import Plan, Update, plan, scale_message
from components.controllers.deployment.replicasets import REVISION, is_rolling
from components.controllers.deployment.templates import same_template

logger = logging.getLogger(__name__)


class DeploymentController:
    name = "deployment-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder("deployment-controller")
        self._ownership = Ownership(context.client, REPLICA_SETS, DEPLOYMENTS)
        self._queue = WorkQueue()
        factory = context.informers
        by_controller = {BY_CONTROLLER: index_by_controller}
        self._deployments = factory.informer(DEPLOYMENTS)
        self._sets = factory.informer(REPLICA_SETS, indexers=by_controller)
        self._pods = context.pods()
        self._deployments.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        self._sets.add_handler(self._set_changed, self._set_updated, self._set_changed)
        self._pods.add_handler(on_delete=self._pod_deleted)

    async def run(self) -> None:
        await run_workers(
            self._queue, self.sync, self._context.options.concurrent_deployment_syncs, self.name
        )

    def _enqueue(self, deployment: Object) -> None:
        self._queue.add(meta.object_key(deployment))

    def _set_updated(self, old: Object, rs: Object) -> None:
        if controller_uid(old) != controller_uid(rs):
            self._set_changed(old)
        self._set_changed(rs)

    def _set_changed(self, rs: Object) -> None:
        owner = self._owner_of(rs)
        if owner is not None:
            self._enqueue(owner)
        elif meta.controller_of(rs) is None:
            for deployment in self._deployments.store.by_index(NAMESPACE_INDEX, meta.namespace(rs)):
                if not has_empty_selector(deployment) and selector_of(deployment).matches(meta.labels(rs)):
                    self._enqueue(deployment)

    def _owner_of(self, rs: Object) -> Object | None:
        reference = meta.controller_of(rs)
        if reference is None or reference.get("kind") != "Deployment":
            return None
        owner = self._deployments.store.get(f"{meta.namespace(rs)}/{reference.get('name')}")
        return owner if owner is not None and meta.uid(owner) == reference.get("uid") else None

    def _pod_deleted(self, pod: Object) -> None:
        """Recreate waits for the last old pod to be gone, which no ReplicaSet status tells."""
        reference = meta.controller_of(pod)
        if reference is None or reference.get("kind") != "ReplicaSet":
            return
        rs = self._sets.store.get(f"{meta.namespace(pod)}/{reference.get('name')}")
        owner = self._owner_of(rs) if rs is not None else None
        if owner is not None and not is_rolling(owner):
            self._enqueue(owner)

    async def sync(self, key: str) -> None:
        deployment = self._deployments.store.get(key)
        if deployment is None:
            return
        deployment = {**deployment, "apiVersion": "apps/v1", "kind": "Deployment"}
        if has_empty_selector(deployment):
            await self._refuse_empty_selector(deployment)
            return
        sets = await self._ownership.claim(deployment, selector_of(deployment), self._candidates(deployment))
        pods = [] if is_rolling(deployment) else self._pods_of(sets)
        await self._carry_out(deployment, plan(deployment, sets, pods, self._context.now()))

    def _candidates(self, deployment: Object) -> list[Object]:
        store = self._sets.store
        owned = store.by_index(BY_CONTROLLER, meta.uid(deployment))
        return owned + store.by_index(BY_CONTROLLER, orphans_of(meta.namespace(deployment)))

    def _pods_of(self, sets: list[Object]) -> list[Object]:
        return [pod for rs in sets for pod in self._pods.store.by_index(BY_CONTROLLER, meta.uid(rs))]

    async def _refuse_empty_selector(self, deployment: Object) -> None:
        text = "This deployment is selecting all pods. A non-empty selector is required."
        self._recorder.event(deployment, "Warning", "SelectingAll", text)
        if (status(deployment).get("observedGeneration") or 0) < meta.generation(deployment):
            observed = {**status(deployment), "observedGeneration": meta.generation(deployment)}
            await self._write_status(deployment, observed)

    async def _carry_out(self, deployment: Object, step: Plan) -> None:
        if step.create is not None and not await self._create(deployment, step.create):
            return
        for update in step.updates:
            await self._update(deployment, update)
        for rs in step.deletions:
            await self._delete(rs)
        await self._write_status(deployment, step.status, step.revision)
        if step.check_after is not None:
            self._queue.add_after(meta.object_key(deployment), step.check_after)

    async def _create(self, deployment: Object, rs: Object) -> bool:
        """Create the new ReplicaSet; False if this sync ends here and the next one continues."""
        try:
            created = await self._client.create(REPLICA_SETS, rs, namespace=meta.namespace(deployment))
        except ApiError as error:
            if error.is_already_exists:
                return await self._already_there(deployment, rs)
            if namespace_is_terminating(error):
                return False
            await self._report_failure(deployment, rs, error)
            raise
        message = scale_message({**created, "spec": {**spec(created), "replicas": 0}}, replicas(created))
        if message:
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        return True

    async def _already_there(self, deployment: Object, rs: Object) -> bool:
        """Ours, and not yet in the cache: go on. Of another template: the hash collided, count up."""
        existing = await self._client.get(REPLICA_SETS, meta.name(rs), meta.namespace(rs))
        ours = controller_uid(existing) == meta.uid(deployment)
        if ours and same_template(spec(existing)["template"], spec(rs)["template"]):
            return True
        collisions = int(status(deployment).get("collisionCount") or 0) + 1
        logger.info("hash collision for deployment %s: count is %d", meta.object_key(deployment), collisions)
        await self._write_status(deployment, {**status(deployment), "collisionCount": collisions})
        return False

    async def _report_failure(self, deployment: Object, rs: Object, error: ApiError) -> None:
        reason = "ReplicaSetCreateError"
        text = f'Failed to create new replica set "{meta.name(rs)}": {error.message}'
        self._recorder.event(deployment, "Warning", reason, text)
        if progress.has_deadline(deployment):
            state = {**status(deployment), "conditions": list(status(deployment).get("conditions") or ())}
            condition = progress.new_condition("Progressing", "False", reason, text, self._context.now())
            progress.put_condition(state, condition)
            await self._write_status(deployment, state)

    async def _update(self, deployment: Object, update: Update) -> None:
        rs = update.replica_set
        cached = self._sets.store.get(meta.object_key(rs))
        if cached is not None and _same_record(cached, rs):
            return
        await self._client.update(REPLICA_SETS, {**rs, "apiVersion": "apps/v1", "kind": "ReplicaSet"})
        if update.event:
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", update.event)

    async def _delete(self, rs: Object) -> None:
        try:
            await self._client.delete(REPLICA_SETS, meta.name(rs), meta.namespace(rs), uid=meta.uid(rs))
        except ApiError as error:
            if not error.is_not_found:
                raise

    async def _write_status(self, deployment: Object, new: Object, revision: str | None = None) -> None:
        """With the revision, as in the original: an annotation that is written otherwise makes a new generation."""
        numbered = _with_revision(deployment, revision)
        if numbered is deployment and _normal(new) == _normal(status(deployment)):
            return
        await self._client.update(DEPLOYMENTS, {**numbered, "status": _normal(new)}, subresource="status")


def _with_revision(deployment: Object, number: str | None) -> Object:
    if number is None or meta.annotations(deployment).get(REVISION) == number:
        return deployment
    annotations = {**meta.annotations(deployment), REVISION: number}
    return {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}


def _same_record(left: Object, right: Object) -> bool:
    return meta.annotations(left) == meta.annotations(right) and spec(left) == spec(right)


def _normal(state: Object) -> Object:
    """Without what the API does not write: zeros (except terminatingReplicas) and empty lists."""
    return {name: value for name, value in state.items() if value or name == "terminatingReplicas"}
