"""What admission may ask of other objects: answers from the watch caches, or fresh from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionResource
from apiserver.storage.cacher import Caches
from apiserver.storage.interface import Storage

if TYPE_CHECKING:
    from apiserver.registry.table import Registry

Object = dict[str, Any]


class CacheReader:
    """See :class:`apiserver.admission.interface.Reader`.

    Answers are private copies only where ``fresh``; others are shared and not to be changed."""

    def __init__(self, registry: Registry, caches: Caches, storage: Storage) -> None:
        self._registry = registry
        self._caches = caches
        self._storage = storage

    async def get(
        self, gvr: GroupVersionResource, namespace: str, name: str, *, fresh: bool = False
    ) -> Object | None:
        resource = self._registry.lookup(*gvr)
        if resource is None:
            return None
        key = resource.key(namespace, name)
        if fresh:
            stored, _ = await self._storage.get(key)
            return codec.decode_stored(stored.value, stored.revision) if stored else None
        cache = self._caches.of(resource.storage_prefix + "/")
        if not cache.revision:
            await cache.ready()
        entry = cache.get(key)
        return entry.object() if entry else None

    async def list(self, gvr: GroupVersionResource, namespace: str | None = None) -> list[Object]:
        resource = self._registry.lookup(*gvr)
        if resource is None:
            return []
        cache = self._caches.of(resource.storage_prefix + "/")
        if not cache.revision:
            await cache.ready()
        if not cache.size:
            return []
        prefix = cache.prefix + (f"{namespace}/" if namespace else "")
        return [entry.object() for entry in cache.select(prefix)]
