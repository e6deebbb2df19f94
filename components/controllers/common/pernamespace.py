"""One object of a fixed name in every active namespace: the shell of two small controllers.

Kept by level: a namespace that appears and an object that is changed or deleted both lead to one check.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import NAMESPACES
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.objects import status
from components.controllers.common.podcontrol import namespace_is_terminating

Desired = Callable[[str, Object | None], Object | None]


class PerNamespace:
    """`desired(namespace, current)` gives the object to write, None if `current` will do."""

    def __init__(
        self,
        context: ControllerContext,
        name: str,
        gvr: GroupVersionResource,
        object_name: str,
        desired: Desired,
    ) -> None:
        self.name = name
        self._client = context.client
        self._gvr = gvr
        self._object_name = object_name
        self._desired = desired
        self._queue = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._objects = context.informers.informer(gvr)
        self._namespaces.add_handler(self._namespace_changed, lambda _, new: self._namespace_changed(new))
        self._objects.add_handler(None, lambda _, new: self._object_changed(new), self._object_changed)

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, 5, self.name)

    def check_all(self) -> None:
        """What is desired has changed."""
        for namespace in self._namespaces.store.list():
            self._namespace_changed(namespace)

    def _namespace_changed(self, namespace: Object) -> None:
        self._queue.add(meta.name(namespace))

    def _object_changed(self, obj: Object) -> None:
        if meta.name(obj) == self._object_name:
            self._queue.add(meta.namespace(obj))

    async def sync(self, namespace: str) -> None:
        found = self._namespaces.store.get(namespace)
        if found is None or meta.is_deleting(found) or status(found).get("phase") == "Terminating":
            return
        current = self._objects.store.get(f"{namespace}/{self._object_name}")
        wanted = self._desired(namespace, current)
        if wanted is None:
            return
        try:
            if current is None:
                await self._client.create(self._gvr, wanted, namespace=namespace)
            else:
                await self._client.update(self._gvr, wanted)
        except ApiError as error:
            if not (error.is_already_exists or namespace_is_terminating(error)):
                raise
