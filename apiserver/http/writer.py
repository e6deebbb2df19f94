"""What admission may write of other objects: one compare-and-swap at a time, straight to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver.api import codec, meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.storage.interface import RevisionMismatch, Storage

if TYPE_CHECKING:
    from apiserver.registry.table import Registry

Object = dict[str, Any]


class StorageWriter:
    """See :class:`apiserver.admission.interface.Writer`. For resources that are stored as they are served."""

    def __init__(self, registry: Registry, storage: Storage) -> None:
        self._registry = registry
        self._storage = storage

    async def swap(self, gvr: GroupVersionResource, obj: Object) -> tuple[bool, Object | None]:
        resource = self._registry.lookup(*gvr)
        assert resource is not None
        key, data = resource.key(meta.namespace(obj), meta.name(obj)), codec.encode(obj)
        try:
            revision = await self._storage.update(key, data, int(meta.resource_version(obj)))
        except RevisionMismatch as lost:
            now = lost.current
            return False, None if now is None else codec.decode_stored(now.value, now.revision)
        return True, codec.decode_stored(data, revision)
