"""Which resources the server has, from its discovery documents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from apiserver.api.gvk import GroupResource, GroupVersionResource
from components.client.errors import ApiError
from components.client.transport import ApiClient


class ServedResource(NamedTuple):
    gvr: GroupVersionResource
    kind: str
    namespaced: bool
    verbs: frozenset[str]


_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AT_ONCE: Final = 8  # documents of a server that has no aggregated ones


async def served_resources(client: ApiClient, failed: list[str] | None = None) -> list[ServedResource]:
    """Every resource once, in the first of its group's versions that has it, without subresources.

    A group prefers one version, but not every resource of it need be in that one: custom resources share groups. Two
    documents say it all, where the server has them aggregated (Kubernetes 1.30 and later). Group versions that cannot
    be read, because the API server behind them is not available, are put into ``failed``; what the others have is
    returned all the same.
    """
    unread: list[str] = [] if failed is None else failed
    core, named = [await _read(client, path, f"{_AGGREGATED},application/json") for path in ("/api", "/apis")]
    if named.get("kind") == "APIGroupDiscoveryList" and core.get("kind") == named["kind"]:
        groups = (*core["items"], *named["items"])
        return _once(resource for group in groups for resource in _aggregated(group, unread))
    versions = [version["groupVersion"] for group in named["groups"] for version in _by_preference(group)]
    paths = {"v1": "/api/v1", **{version: f"/apis/{version}" for version in versions}}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(version: str, path: str) -> list[ServedResource]:
        async with gate:
            document = await _read(client, path)
        if document is None:
            unread.append(version)
        return _resources(version, document or {})

    found = await asyncio.gather(*(read(version, path) for version, path in paths.items()))
    return _once(resource for resources in found for resource in resources)


def _once(resources: Iterable[ServedResource]) -> list[ServedResource]:
    found: dict[GroupResource, ServedResource] = {}
    for resource in resources:
        found.setdefault(resource.gvr.group_resource, resource)
    return list(found.values())


def _aggregated(group: Any, unread: list[str]) -> Iterator[ServedResource]:
    """The versions of an aggregated group are in the order of preference. A stale one has a server that is away."""
    name = group["metadata"].get("name", "")
    for version in group["versions"]:
        if version.get("freshness") == "Stale":
            unread.append(f"{name}/{version['version']}")
            continue
        for entry in version.get("resources") or ():
            yield ServedResource(
                GroupVersionResource(name, version["version"], entry["resource"]),
                (entry.get("responseKind") or {}).get("kind", ""),
                entry["scope"] == "Namespaced",
                frozenset(entry.get("verbs") or ()),
            )


def _by_preference(group: Any) -> list[Any]:
    preferred = group["preferredVersion"]
    return [preferred, *(version for version in group["versions"] if version != preferred)]


async def _read(client: ApiClient, path: str, accept: str = "application/json") -> Any:
    """None for a group version whose server is away. One that went meanwhile, with its definitions, has nothing."""
    code, body = await client.raw("GET", path, headers={"Accept": accept})
    if path.count("/") == 3 and code in (404, 503):
        return {} if code == 404 else None
    if code != 200:
        raise ApiError(code, "DiscoveryFailed", f"discovery of {path} answered {code}")
    return msgspec.json.decode(body)


def _resources(group_version: str, document: Any) -> list[ServedResource]:
    group, _, version = group_version.rpartition("/")
    return [
        ServedResource(
            GroupVersionResource(group, version, entry["name"]),
            entry["kind"],
            bool(entry.get("namespaced")),
            frozenset(entry.get("verbs") or ()),
        )
        for entry in document.get("resources") or ()
        if "/" not in entry["name"]
    ]
