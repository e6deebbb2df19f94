"""Where objects are read from: this master's own store, or any API server over its REST API.

`Source` is what `collect`, `family` and the endpoints need. `LocalObjects` reads what is stored, of the own replica
(the first read, of the object that is asked about, is linearizable); a list is cut down by a text that must be in an
object before anything is decoded. `ClientObjects` is for the command line at an API server that has no such endpoints.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from apiserver.api import codec, meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from apiserver.storage.interface import StorageError
from components.client.errors import ApiError
from components.client.transport import ApiClient
from components.insight.situation import Kind

if TYPE_CHECKING:
    from apiserver.http.scope import Services
    from apiserver.registry.table import Resource

_FRESH_SECONDS = 1.0
_AT_ONCE = 100
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_Known = list[tuple[Kind, frozenset[str]]]
"""Kinds, each with its names."""


class Source(Protocol):
    async def kind(self, name: str, group: str = "") -> Kind | None:
        """By plural, singular, short name or kind; in any group if none is given."""
        ...

    async def kind_of(self, api_version: str, kind: str) -> Kind | None: ...

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    async def list(self, kind: Kind, namespace: str = "", *, containing: str = "") -> list[Object]:
        """Those of the namespace, of all without one. ``containing``: a hint that only such ones matter."""
        ...


class LocalObjects:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def kind(self, name: str, group: str = "") -> Kind | None:
        wanted = name.lower()
        found = [
            r
            for r in self._services.registry.resources
            if _is_named(r, wanted) and (not group or r.gvr.group == group)
        ]
        exact = [r for r in found if r.gvr.resource == wanted]
        stored = [r for r in exact or found if r.storage_version == r.gvk.group_version]
        best = next(iter(stored or exact or found), None)
        return _kind(best) if best is not None else None

    async def kind_of(self, api_version: str, kind: str) -> Kind | None:
        for resource in self._services.registry.resources:
            if resource.gvk.group_version == api_version and resource.gvk.kind == kind:
                return _kind(resource)
        return None

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """As new as every acknowledged write; without a quorum, what is here."""
        key, storage = self._resource(kind).key(namespace, name), self._services.storage
        try:
            async with asyncio.timeout(_FRESH_SECONDS):
                stored, _ = await storage.get(key)
        except (TimeoutError, StorageError):
            stored, _ = await storage.get(key, linearizable=False)
        return codec.decode_stored(stored.value, stored.revision) if stored is not None else None

    async def list(self, kind: Kind, namespace: str = "", *, containing: str = "") -> list[Object]:
        prefix = self._resource(kind).storage_prefix + "/"
        if namespace and kind.namespaced:
            prefix += f"{namespace}/"
        listed = await self._services.storage.list(prefix, linearizable=False)
        mark = containing.encode()
        found = []
        for item in listed.items:
            if mark in item.value:
                found.append(codec.decode_stored(item.value, item.revision))
                if len(found) % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # thousands of pods must not hold the loop
        return found

    def _resource(self, kind: Kind) -> Resource:
        found = self._services.registry.lookup(kind.group, kind.version, kind.resource)
        if found is None:
            raise LookupError(f"{kind.resource} is no longer served")
        return found


def _is_named(resource: Resource, name: str) -> bool:
    return name in (
        resource.gvr.resource,
        resource.singular,
        resource.gvk.kind.lower(),
        *resource.short_names,
    )


def _kind(resource: Resource) -> Kind:
    return Kind(
        resource.gvr.group,
        resource.gvr.version,
        resource.gvr.resource,
        resource.gvk.kind,
        resource.namespaced,
    )


class ClientObjects:
    """What the user of ``client`` may read; the rest is as if it were not there."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: _Known | None = None

    async def kind(self, name: str, group: str = "") -> Kind | None:
        wanted = name.lower()
        for kind, names in await self._kinds():
            if wanted in names and (not group or kind.group == group):
                return kind
        return None

    async def kind_of(self, api_version: str, kind: str) -> Kind | None:
        for known, _ in await self._kinds():
            if (known.api_version, known.kind) == (api_version, kind):
                return known
        return None

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(_gvr(kind), name, namespace or None)
        except ApiError as error:
            if error.is_not_found or error.code == 403:
                return None
            raise

    async def list(self, kind: Kind, namespace: str = "", *, containing: str = "") -> list[Object]:
        try:
            answer = await self._client.list(_gvr(kind), namespace if kind.namespaced and namespace else None)
        except ApiError as error:
            if error.is_not_found or error.code == 403:
                return []
            raise
        items: list[Object] = answer["items"]
        return items

    async def _kinds(self) -> _Known:
        if self._known is None:
            self._known = [found for root in ("/api", "/apis") for found in await self._discovered(root)]
        return self._known

    async def _discovered(self, root: str) -> _Known:
        code, body = await self._client.raw("GET", root, headers={"Accept": _DISCOVERY})
        if code != 200:
            raise ApiError(code, "", f"{root}: the server answered {code}")
        found = []
        for group in codec.decode(body).get("items") or []:
            name = meta.name(group)
            for version in group.get("versions") or []:
                found += [
                    _discovered_kind(name, version["version"], one) for one in version.get("resources") or []
                ]
        return found


def _discovered_kind(group: str, version: str, one: dict[str, Any]) -> tuple[Kind, frozenset[str]]:
    kind = str((one.get("responseKind") or {}).get("kind") or "")
    plural = str(one["resource"])
    names = {plural, str(one.get("singularResource") or ""), kind.lower(), *(one.get("shortNames") or [])}
    return Kind(group, version, plural, kind, one.get("scope") == "Namespaced"), frozenset(names - {""})


def _gvr(kind: Kind) -> GroupVersionResource:
    return GroupVersionResource(kind.group, kind.version, kind.resource)
