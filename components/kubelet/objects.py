"""ConfigMaps, Secrets and Services as the kubelet needs them: watched one by one, only while a pod
refers to them.

As kubelet's watch-based manager: the first `get` of an object starts an informer for that one name, the
last pod that `release`s it ends it. A change calls `on_change` with the uids of the pods that use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apiserver.api.gvk import GroupVersionResource
from components.client.informer import Informer
from components.client.reflector import ListWatcher

Object = dict[str, Any]
_SYNC_TIMEOUT = 10.0


class ObjectMissing(Exception):
    """The text is the original's: `configmap "x" not found`."""


class _Entry:
    def __init__(self, informer: Informer, task: asyncio.Task[None]) -> None:
        self.informer, self.task = informer, task
        self.users: set[str] = set()


class ObjectCache:
    def __init__(self, client: ListWatcher, on_change: Callable[[str], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._entries: dict[tuple[GroupVersionResource, str, str], _Entry] = {}

    async def get(self, gvr: GroupVersionResource, namespace: str, name: str, user: str) -> Object:
        """The object as of now, on behalf of the pod with uid `user`. Raises ObjectMissing."""
        kind = gvr.resource.removesuffix("s")
        entry = self._entries.get((gvr, namespace, name)) or self._watch(gvr, namespace, name)
        entry.users.add(user)
        try:
            async with asyncio.timeout(_SYNC_TIMEOUT):
                await entry.informer.wait_synced()
        except TimeoutError:
            text = f"failed to sync {kind} cache: timed out waiting for the condition"
            raise ObjectMissing(text) from None
        found = entry.informer.store.get(f"{namespace}/{name}")
        if found is None:
            raise ObjectMissing(f'{kind} "{name}" not found')
        return found

    def release(self, user: str) -> None:
        for key, entry in list(self._entries.items()):
            entry.users.discard(user)
            if not entry.users:
                entry.task.cancel()
                del self._entries[key]

    async def close(self) -> None:
        tasks = [entry.task for entry in self._entries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, gvr: GroupVersionResource, namespace: str, name: str) -> _Entry:
        selector = f"metadata.name={name}"
        informer = Informer(self._client, gvr, namespace=namespace, field_selector=selector)
        entry = _Entry(informer, asyncio.create_task(informer.run(), name=f"watch {gvr.resource}/{name}"))

        def changed(*_: Object) -> None:
            for user in entry.users:
                self._on_change(user)

        informer.add_handler(on_add=changed, on_update=changed, on_delete=changed)
        self._entries[(gvr, namespace, name)] = entry
        return entry
