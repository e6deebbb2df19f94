"""Watches Services, pods and EndpointSlices; writes the slices of Services with a selector.

Expectations per Service keep it from creating a second slice before its first has come back.
"""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.expectations import Expectations
from components.client.resources import ENDPOINT_SLICES
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext, loop_time
from components.controllers.common.services import selects_pods
from components.controllers.common.servicewatch import ServiceWatch
from components.controllers.endpointslice.plan import SERVICE_NAME, is_ours, plan

_BY_SERVICE = "service"


class EndpointSliceController:
    name = "endpointslice-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        self._watch = ServiceWatch(context, self._queue)
        self._expectations = Expectations(loop_time)
        self._slices = context.informers.informer(ENDPOINT_SLICES, indexers={_BY_SERVICE: _service_of})
        self._slices.add_handler(self._slice_added, lambda _, new: self._enqueue(new), self._enqueue)

    async def run(self) -> None:
        workers = self._context.options.concurrent_service_endpoint_syncs
        await run_workers(self._queue, self.sync, workers, self.name)

    def _slice_added(self, item: Object) -> None:
        for key in _service_of(item):
            self._expectations.creation_observed(key)
        self._enqueue(item)

    def _enqueue(self, item: Object) -> None:
        for key in _service_of(item):
            self._queue.add(key)

    async def sync(self, key: str) -> None:
        service = self._watch.services.store.get(key)
        if service is None or meta.is_deleting(service):
            # The slices name the Service as their owner: garbage collection takes them.
            self._expectations.delete(key)
            return
        if not selects_pods(service) or not self._expectations.satisfied(key):
            return
        slices = self._slices.store.by_index(_BY_SERVICE, key)
        limit = self._context.options.max_endpoints_per_slice
        steps = plan(service, self._watch.pods_of(service), slices, limit)
        for item in steps.update:
            typed = {**item, "apiVersion": ENDPOINT_SLICES.group_version, "kind": "EndpointSlice"}
            await self._client.update(ENDPOINT_SLICES, typed)
        await self._create(key, steps.create)
        for item in steps.delete:
            await self._delete(item)

    async def _create(self, key: str, slices: list[Object]) -> None:
        if not slices:
            return
        self._expectations.expect_creations(key, len(slices))
        for done, item in enumerate(slices):
            try:
                await self._client.create(ENDPOINT_SLICES, item, namespace=meta.namespace(item))
            except ApiError:
                for _ in slices[done:]:
                    self._expectations.creation_observed(key)
                raise

    async def _delete(self, item: Object) -> None:
        try:
            await self._client.delete(
                ENDPOINT_SLICES, meta.name(item), meta.namespace(item), uid=meta.uid(item)
            )
        except ApiError as error:
            if not error.is_not_found:
                raise


def _service_of(item: Object) -> list[str]:
    name = meta.labels(item).get(SERVICE_NAME)
    return [f"{meta.namespace(item)}/{name}"] if name and is_ours(item) else []
