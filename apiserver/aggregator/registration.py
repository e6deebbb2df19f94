"""An APIService for every served version of a custom resource, made and unmade with the definitions.

Those of built-in group versions come with the other bootstrap objects. What somebody has made by hand under the same
name, without the label ``automanaged``, is left as it is. Source: kube-aggregator ``pkg/controllers/autoregister`` and
``pkg/controlplane/controller/crdregistration``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from apiserver.aggregator.service import MANAGED, ApiService
from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import create
from apiserver.http.rest.ownership import Ownership
from apiserver.storage.interface import RevisionMismatch, Stored

if TYPE_CHECKING:
    from apiserver.http.scope import Services
    from apiserver.registry.table import Resource
    from apiserver.storage.cacher import ResourceCache

log = logging.getLogger(__name__)
_ALWAYS: Final = "true"
_MANAGER: Final = "kube-apiserver"
_GROUP_PRIORITY, _VERSION_PRIORITY = 1000, 100
Object = dict[str, Any]


class Registration:
    """``definitions``: the cache of CustomResourceDefinitions."""

    def __init__(self, services: Services, resource: Resource, definitions: ResourceCache) -> None:
        self._services = services
        self._resource = resource
        self._definitions = definitions
        self._seen: Hashable = None

    def listen(self, listener: Callable[[], None]) -> None:
        """Called whenever it is time to reconcile."""
        self._definitions.listen(listener)

    async def reconcile(self, known: Sequence[ApiService]) -> None:
        """``known``: the APIServices there are. Raises StorageError."""
        await self._definitions.ready()
        present = {item.name: item for item in known}
        seen = (self._definitions.epoch, self._definitions.end, frozenset(map(_identity, known)))
        if self._seen == seen:
            return
        wanted = self._wanted()
        for name, spec in wanted.items():
            if name not in present:
                await self._create(name, spec)
            elif present[name].managed == _ALWAYS and not _is_as(present[name]):
                await self._restore(name, spec)
        for item in known:
            if item.managed == _ALWAYS and item.name not in wanted:
                await self._remove(item.name)
        self._seen = seen

    def _wanted(self) -> dict[str, Object]:
        """The spec by name."""
        found: dict[str, Object] = {}
        for entry in self._definitions.select(self._definitions.prefix):
            spec = entry.object().get("spec") or {}
            for version in spec.get("versions") or ():
                if version.get("served"):
                    found[f"{version['name']}.{spec['group']}"] = _spec(spec["group"], version["name"])
        return found

    async def _create(self, name: str, spec: Object) -> None:
        call = Call(self._services, self._resource)
        obj: Object = {
            "kind": self._resource.gvk.kind,
            "apiVersion": self._resource.gvk.group_version,
            "metadata": {"name": name, "labels": {MANAGED: _ALWAYS}},
            "spec": spec,
        }
        call.resource.strategy.default(obj)
        try:
            await create(call, "", Ownership.of(call, _MANAGER).update(None, obj))
        except StatusError as exc:
            if exc.reason != "AlreadyExists":
                log.warning("registration of %s: %s", name, exc)

    async def _restore(self, name: str, spec: Object) -> None:
        stored, obj = await self._managed(name)
        if stored is not None:
            with suppress(RevisionMismatch):
                await self._services.storage.update(
                    stored.key, codec.encode({**obj, "spec": spec}), stored.revision
                )

    async def _remove(self, name: str) -> None:
        stored, _ = await self._managed(name)
        if stored is not None:
            with suppress(RevisionMismatch):
                await self._services.storage.delete(stored.key, stored.revision)

    async def _managed(self, name: str) -> tuple[Stored | None, Object]:
        """What is stored, if nobody but us keeps it."""
        stored, _ = await self._services.storage.get(self._resource.key("", name))
        obj: Object = codec.decode(stored.value) if stored is not None else {}
        labels = (obj.get("metadata") or {}).get("labels") or {}
        return (stored if labels.get(MANAGED) == _ALWAYS else None), obj


def _identity(item: ApiService) -> tuple[Hashable, ...]:
    return item.name, item.managed, item.service, item.group_priority, item.version_priority


def _is_as(item: ApiService) -> bool:
    """As we would make it."""
    return (item.service, item.group_priority, item.version_priority) == (
        None,
        _GROUP_PRIORITY,
        _VERSION_PRIORITY,
    )


def _spec(group: str, version: str) -> Object:
    return {
        "group": group,
        "version": version,
        "groupPriorityMinimum": _GROUP_PRIORITY,
        "versionPriority": _VERSION_PRIORITY,
    }
