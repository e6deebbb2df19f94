"""Keeps the status of every ResourceQuota: takes up its limits, counts what is stored, frees what is gone.

Admission charges a quota before an object is stored, so a count may miss what is on its way. What was charged is
therefore freed only when the quota stays as it is for `_SETTLE` seconds: then nothing is on its way. The store itself
says so at the beginning and at the end of that time, because while its members elect a leader nothing moves at all, and
creates that have been charged wait as well. Every object
that comes, goes or changes what it counts leads to a count of its namespace's quotas; all are counted again every
five minutes, as in the original. Kinds that no quota names are not followed.
"""

from __future__ import annotations

import asyncio
from typing import Final

from apiserver.api import meta
from apiserver.api.gvk import GroupResource, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity
from apiserver.api.quota import amounts, evaluator_of, resource_named
from apiserver.api.quota.evaluator import Evaluator, in_scopes
from components.client.indexer import NAMESPACE_INDEX
from components.client.informer import Informer
from components.client.resources import PERSISTENT_VOLUME_CLAIMS, RESOURCE_QUOTAS, SERVICES
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext, loop_time
from components.controllers.common.discovery import served_resources
from components.controllers.common.objects import spec
from components.controllers.resourcequota.plan import balance

_SETTLE: Final = 0.5  # longer than a create takes from its charge to the store
_SLICE: Final = 200  # objects that are counted in one turn of the event loop
_REDISCOVER: Final = 30.0


class ResourceQuotaController:
    name = "resourcequota-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        # By key: resourceVersion, and since when it is to be lowered.
        self._calm: dict[str, tuple[str, float]] = {}
        self._served: dict[GroupResource, GroupVersionResource] = {}
        self._discovered_at = float("-inf")
        self._informers: dict[GroupResource, Informer] = {}
        self._quotas = context.informers.informer(RESOURCE_QUOTAS)
        self._quotas.add_handler(
            self._quota_changed, lambda _, new: self._quota_changed(new), self._quota_gone
        )
        self._follow(GroupResource("", "pods"), context.pods())
        for gvr in (SERVICES, PERSISTENT_VOLUME_CLAIMS):
            self._follow(gvr.group_resource, context.informers.informer(gvr))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resync(), name="quota resync")
            workers = self._context.options.concurrent_resource_quota_syncs
            await run_workers(self._queue, self.sync, workers, self.name)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._context.options.resource_quota_sync_period)
            for key in list(self._quotas.store.keys()):
                self._queue.add(key)

    # ---- what leads to a count

    def _quota_changed(self, quota: Object) -> None:
        self._queue.add(meta.object_key(quota))

    def _quota_gone(self, quota: Object) -> None:
        self._calm.pop(meta.object_key(quota), None)

    def _follow(self, resource: GroupResource, informer: Informer) -> None:
        evaluator = evaluator_of(resource)
        self._informers[resource] = informer

        def updated(old: Object, new: Object) -> None:
            now = self._context.now()
            if evaluator.usage(old, now) != evaluator.usage(new, now):
                self._enqueue(new, 0)

        informer.add_handler(
            lambda obj: self._enqueue(obj, _SETTLE), updated, lambda obj: self._enqueue(obj, 0)
        )

    def _enqueue(self, obj: Object, delay: float) -> None:
        for quota in self._quotas.store.by_index(NAMESPACE_INDEX, meta.namespace(obj)):
            if delay:
                self._queue.add_after(meta.object_key(quota), delay)
            else:
                self._queue.add(meta.object_key(quota))

    # ---- the count

    async def sync(self, key: str) -> None:
        quota = self._quotas.store.get(key)
        if quota is None or meta.is_deleting(quota):
            return
        books = balance(quota, await self._count(quota))
        if books.quota is None:
            self._calm.pop(key, None)
        elif not books.lowers or await self._has_settled(key, quota):
            await self._client.update(RESOURCE_QUOTAS, books.quota, subresource="status")
            self._calm.pop(key, None)

    async def _has_settled(self, key: str, quota: Object) -> bool:
        """Whether the quota has been what it is for long enough; looked at again when it will have been."""
        this = f"metadata.name={meta.name(quota)}"
        listed = await self._client.list(RESOURCE_QUOTAS, meta.namespace(quota), field_selector=this)
        current = "".join(meta.resource_version(stored) for stored in listed["items"])
        version, since = self._calm.get(key, ("", 0.0))
        if version != current:
            since = loop_time()
            self._calm[key] = (current, since)
        left = since + _SETTLE - loop_time()
        if left > 0:
            self._queue.add_after(key, left)
        return left <= 0 and current == meta.resource_version(quota)

    async def _count(self, quota: Object) -> amounts.Amounts:
        hard = spec(quota).get("hard") or {}
        found: amounts.Amounts = {}
        for resource in sorted({r for name in hard if (r := resource_named(name)) is not None}):
            informer = await self._informer(resource)
            if informer is not None:
                evaluator = evaluator_of(resource)
                names = [name for name in hard if evaluator.tracks(name)]
                found |= await self._add_up(evaluator, quota, names, informer)
        return found

    async def _add_up(
        self, evaluator: Evaluator, quota: Object, names: list[str], informer: Informer
    ) -> amounts.Amounts:
        """As `quota.evaluator.total`, in slices."""
        now, found = self._context.now(), dict.fromkeys(names, Quantity(0))
        for number, obj in enumerate(informer.store.by_index(NAMESPACE_INDEX, meta.namespace(quota)), 1):
            if in_scopes(evaluator, quota, obj):
                found = amounts.add(found, amounts.masked(evaluator.usage(obj, now), names))
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return found

    async def _informer(self, resource: GroupResource) -> Informer | None:
        """None for a resource that the server does not serve."""
        if resource not in self._informers:
            gvr = await self._discover(resource)
            if gvr is None:
                return None
            self._follow(resource, self._context.informers.informer(gvr))
        informer = self._informers[resource]
        await informer.wait_synced()
        return informer

    async def _discover(self, resource: GroupResource) -> GroupVersionResource | None:
        if resource not in self._served and loop_time() - self._discovered_at >= _REDISCOVER:
            served = [
                r
                for r in await served_resources(self._client)
                if r.namespaced and r.verbs >= {"list", "watch"}
            ]
            self._served = {found.gvr.group_resource: found.gvr for found in served}
            self._discovered_at = loop_time()
        return self._served.get(resource)
