"""Deletes what a namespace holds, resource by resource as discovery lists them, then finalizes it.

What is left (pods that end gracefully, objects with finalizers) is looked at again shortly after.
"""

from __future__ import annotations

from collections import Counter

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import NAMESPACES
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.discovery import ServedResource, served_resources
from components.controllers.common.objects import status
from components.controllers.namespace.plan import finalized, is_due, with_conditions

_LOOK_AGAIN = 1.0  # seconds


class NamespaceController:
    name = "namespace-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._namespaces.add_handler(self._changed, lambda _, new: self._changed(new))

    async def run(self) -> None:
        workers = self._context.options.concurrent_namespace_syncs
        await run_workers(self._queue, self.sync, workers, self.name)

    def _changed(self, namespace: Object) -> None:
        if is_due(namespace):
            self._queue.add(meta.name(namespace))

    async def sync(self, name: str) -> None:
        cached = self._namespaces.store.get(name)
        if cached is None or not is_due(cached):
            return
        remaining: Counter[str] = Counter()
        finalizers: Counter[str] = Counter()
        errors: list[str] = []
        failed: list[str] = []
        for resource in await served_resources(self._client, failed):
            if resource.namespaced and {"list", "delete"} <= resource.verbs:
                await self._empty(name, resource, remaining, finalizers, errors)
        namespace = await self._report(name, remaining, finalizers, errors, failed)
        if namespace is None:
            return
        if remaining or errors or failed:
            self._queue.add_after(name, _LOOK_AGAIN)
            return
        await self._client.update(NAMESPACES, finalized(namespace), subresource="finalize")

    async def _empty(
        self,
        name: str,
        resource: ServedResource,
        remaining: Counter[str],
        finalizers: Counter[str],
        errors: list[str],
    ) -> None:
        try:
            items = (await self._client.list(resource.gvr, name)).get("items") or []
            if not items:
                return
            await self._delete_all(name, resource, items)
            items = (await self._client.list(resource.gvr, name)).get("items") or []
        except ApiError as error:
            if not error.is_not_found:
                errors.append(error.message)
            return
        if items:
            remaining[str(resource.gvr.group_resource)] = len(items)
            finalizers.update(f for item in items for f in meta.finalizers(item))

    async def _delete_all(self, name: str, resource: ServedResource, items: list[Object]) -> None:
        if "deletecollection" in resource.verbs:
            await self._client.delete_collection(resource.gvr, name)
            return
        for item in items:
            try:
                await self._client.delete(resource.gvr, meta.name(item), name, uid=meta.uid(item))
            except ApiError as error:
                if not error.is_not_found:
                    raise

    async def _report(
        self,
        name: str,
        remaining: Counter[str],
        finalizers: Counter[str],
        errors: list[str],
        failed: list[str],
    ) -> Object | None:
        """Write the conditions on the namespace as it is now; None if it is gone."""
        try:
            fresh = await self._client.get(NAMESPACES, name)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        text = "Failed to delete all resource types: " + "; ".join(errors) if errors else ""
        updated = with_conditions(fresh, remaining, finalizers, text, self._context.now(), failed)
        if status(updated) == status(fresh):
            return fresh
        return await self._client.update(NAMESPACES, updated, subresource="status")
