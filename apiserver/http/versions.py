"""The same objects under other groups and versions: for webhooks and policies that ask for those.

Reads the registry, which says what is stored where; equivalent resources are those that are stored together.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from apiserver.admission.matching import Match
from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.http.rest.call import converts, served, to_stored
from apiserver.patch.apply.atoms import Atom, atom_of

if TYPE_CHECKING:
    from apiserver.registry.table import Registry, Resource
    from apiserver.schema.schemas import Schemas

Object = dict[str, Any]


class ResourceVersions:
    """See :class:`apiserver.admission.policies.plugin.Versions`."""

    def __init__(self, registry: Registry, schemas: Schemas) -> None:
        self._registry = registry
        self._schemas = schemas
        self._served: list[Resource] | None = None
        self._together: dict[str, list[Resource]] = {}

    def equivalents(self, gvr: GroupVersionResource, subresource: str) -> list[Match]:
        """Without the resource itself."""
        own = self._registry.lookup(*gvr)
        if own is None:
            return []
        if self._served is not self._registry.resources:
            self._index()
        return [
            Match(other.gvr, other.subresources[subresource].gvk if subresource else other.gvk)
            for other in self._together.get(own.storage_prefix, ())
            if other is not own and (not subresource or subresource in other.subresources)
        ]

    def _index(self) -> None:
        self._served = self._registry.resources
        self._together = {}
        for resource in self._served:
            self._together.setdefault(resource.storage_prefix, []).append(resource)

    def resource_of(self, gvk: GroupVersionKind) -> tuple[GroupVersionResource, bool] | None:
        resource = self._registry.kind(gvk)
        return None if resource is None else (resource.gvr, resource.namespaced)

    async def as_served(self, obj: Object, gvr: GroupVersionResource) -> Object:
        """A stored object, which stays as it is, in the version of a resource. Raises ConversionFailed."""
        resource = self._registry.lookup(*gvr)
        if resource is None:
            return obj
        if resource.custom is None:
            return served(resource, deepcopy(obj)) if converts(resource) else obj
        converted: Object = codec.decode(await resource.custom.view.read(codec.encode(deepcopy(obj))))
        return converted

    async def converted(
        self, obj: Object | None, wanted: GroupVersionResource, own: GroupVersionResource
    ) -> Object | None:
        """The object itself, not a copy, where it is in the wanted version. Raises ConversionFailed."""
        if obj is None or wanted == own:
            return obj
        source, target = self._registry.lookup(*own), self._registry.lookup(*wanted)
        if source is None or target is None or obj.get("apiVersion") != source.gvk.group_version:
            return obj  # the object of a subresource has a version of its own
        if source.custom is None or target.custom is None:
            return {
                **served(target, deepcopy(to_stored(source, obj))),
                "apiVersion": target.gvk.group_version,
            }
        stored = await source.custom.view.written(codec.encode(obj))
        converted: Object = codec.decode(await target.custom.view.read(stored))
        return converted

    def atom(self, gvk: GroupVersionKind) -> Atom | None:
        """How objects of a kind are owned; None for a kind without a schema."""
        api_type = self._schemas.type_of(gvk)
        return None if api_type is None else atom_of(api_type)

    def completed(self, gvk: GroupVersionKind, obj: Object) -> Object:
        """A patched object without the fields that its kind does not have, and with its defaults. Raises 500."""
        try:
            checked, _ = self._schemas.check(gvk, obj)
        except StatusError as exc:
            raise errors.internal(exc.message) from exc
        resource = self._registry.kind(gvk)
        if resource is not None:
            resource.strategy.default(checked)
        return checked
