"""Keeps the rules of every aggregated ClusterRole; each change of any ClusterRole is a reason to look at them all."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.resources import CLUSTER_ROLES
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.clusterroleaggregation.plan import desired, is_aggregated
from components.controllers.common.context import ControllerContext


class ClusterRoleAggregation:
    name = "clusterrole-aggregation-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._queue = WorkQueue()
        self._roles = context.informers.informer(CLUSTER_ROLES)
        self._roles.add_handler(self._changed, lambda _, new: self._changed(new), self._changed)

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, 1, self.name)

    def _changed(self, _: Object) -> None:
        for role in self._roles.store.list():
            if is_aggregated(role):
                self._queue.add(meta.name(role))

    async def sync(self, name: str) -> None:
        role = self._roles.store.get(name)
        wanted = desired(role, self._roles.store.list()) if role is not None else None
        if wanted is not None:
            await self._client.update(CLUSTER_ROLES, wanted)
