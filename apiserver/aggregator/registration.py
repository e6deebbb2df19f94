"""An APIService for every served version of a custom resource, made and unmade with the definitions.

Those of built-in group versions come with the other bootstrap objects; here they are put right once at the start, and
those that this server does not have any more go. What somebody has made by hand under the same name, without the label
``automanaged``, is left as it is. Source: kube-aggregator ``pkg/controllers/autoregister`` and
``pkg/controlplane/controller/crdregistration``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
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
    from apiserver.storage.entry import Entry

log = logging.getLogger(__name__)
_ALWAYS, _ON_START = "true", "onstart"
_MANAGER: Final = "kube-apiserver"
_GROUP_PRIORITY, _VERSION_PRIORITY = 1000, 100
Object = dict[str, Any]


class Registration:
    """``definitions``: the cache of CustomResourceDefinitions. ``built_in``: the specs of built-in ones by name."""

    def __init__(
        self,
        services: Services,
        resource: Resource,
        definitions: ResourceCache,
        built_in: Mapping[str, Object],
    ) -> None:
        self._services = services
        self._resource = resource
        self._definitions = definitions
        self._built_in: Mapping[str, Object] | None = built_in
        self._versions: dict[str, tuple[int, Sequence[tuple[str, str]]]] = {}
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
        wanted = await self._wanted()
        for name, spec in wanted.items():
            if name not in present:
                await self._create(name, spec)
        await self._put_right(known, _ALWAYS, wanted)
        if self._built_in is not None:
            await self._put_right(known, _ON_START, self._built_in)
            self._built_in = None
        self._seen = seen

    async def _put_right(
        self, known: Sequence[ApiService], managed: str, wanted: Mapping[str, Object]
    ) -> None:
        for item in known:
            if item.managed != managed:
                continue
            if item.name not in wanted:
                await self._remove(item.name, managed)
            elif not _is_as(item, wanted[item.name]):
                await self._restore(item.name, managed, wanted[item.name])

    async def _wanted(self) -> dict[str, Object]:
        """The spec by name. Each state of a definition is read once; with thousands of them, others get their turn."""
        known, self._versions = self._versions, {}
        for entry in self._definitions.select(self._definitions.prefix):
            found = known.get(entry.key)
            if found is None or found[0] != entry.revision:
                found = entry.revision, _served(entry)
                await asyncio.sleep(0)
            self._versions[entry.key] = found
        return {
            f"{version}.{group}": _spec(group, version)
            for _, versions in self._versions.values()
            for group, version in versions
        }

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

    async def _restore(self, name: str, managed: str, spec: Object) -> None:
        stored, obj = await self._read(name, managed)
        if stored is not None:
            changed = codec.encode({**obj, "spec": spec})
            with suppress(RevisionMismatch):
                await self._services.storage.update(stored.key, changed, stored.revision)

    async def _remove(self, name: str, managed: str) -> None:
        stored, _ = await self._read(name, managed)
        if stored is not None:
            with suppress(RevisionMismatch):
                await self._services.storage.delete(stored.key, stored.revision)

    async def _read(self, name: str, managed: str) -> tuple[Stored | None, Object]:
        """What is stored, if nobody but us keeps it."""
        stored, _ = await self._services.storage.get(self._resource.key("", name))
        obj: Object = codec.decode(stored.value) if stored is not None else {}
        labels = (obj.get("metadata") or {}).get("labels") or {}
        return (stored if labels.get(MANAGED) == managed else None), obj


def _identity(item: ApiService) -> tuple[Hashable, ...]:
    return item.name, item.managed, item.service, item.group_priority, item.version_priority


def _is_as(item: ApiService, spec: Object) -> bool:
    priorities = spec["groupPriorityMinimum"], spec["versionPriority"]
    return (item.service, item.group_priority, item.version_priority) == (None, *priorities)


def _served(entry: Entry) -> Sequence[tuple[str, str]]:
    """(group, version) of the versions that a definition serves; none of one that no server like this has stored."""
    try:
        spec = entry.object()["spec"]
        return [(spec["group"], version["name"]) for version in spec["versions"] if version.get("served")]
    except (AttributeError, KeyError, TypeError, codec.DecodeError):
        return []


def _spec(group: str, version: str) -> Object:
    return {
        "group": group,
        "version": version,
        "groupPriorityMinimum": _GROUP_PRIORITY,
        "versionPriority": _VERSION_PRIORITY,
    }
