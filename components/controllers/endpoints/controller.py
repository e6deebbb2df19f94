"""Watches Services and pods; writes one Endpoints object for each Service with a selector."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import ENDPOINTS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.services import selects_pods
from components.controllers.common.servicewatch import ServiceWatch
from components.controllers.endpoints.plan import MANAGED_BY, MANAGER, plan


class EndpointsController:
    name = "endpoints-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        self._watch = ServiceWatch(context, self._queue)
        self._endpoints = context.informers.informer(ENDPOINTS)
        self._endpoints.add_handler(self._changed, lambda _, new: self._changed(new), self._changed)

    async def run(self) -> None:
        workers = self._context.options.concurrent_endpoint_syncs
        await run_workers(self._queue, self.sync, workers, self.name)

    def _changed(self, endpoints: Object) -> None:
        self._queue.add(meta.object_key(endpoints))

    async def sync(self, key: str) -> None:
        service = self._watch.services.store.get(key)
        current = self._endpoints.store.get(key)
        if service is None:
            if current is not None and meta.labels(current).get(MANAGED_BY) == MANAGER:
                await self._delete(current)
            return
        if not selects_pods(service) or meta.is_deleting(service):
            return
        wanted = plan(service, self._watch.pods_of(service), current)
        if wanted is None:
            return
        if current is None:
            await self._client.create(ENDPOINTS, wanted, namespace=meta.namespace(service))
        else:
            await self._client.update(ENDPOINTS, wanted)

    async def _delete(self, endpoints: Object) -> None:
        """The Service is gone. Endpoints written by others have no such label and stay."""
        try:
            await self._client.delete(
                ENDPOINTS, meta.name(endpoints), meta.namespace(endpoints), uid=meta.uid(endpoints)
            )
        except ApiError as error:
            if not error.is_not_found:
                raise
