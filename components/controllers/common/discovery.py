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


async def served_resources(client: ApiClient) -> list[ServedResource]:
    """Every resource once, in the first of its group's versions that has it, without subresources.

    A group prefers one version, but not every resource of it need be in that one: custom resources share groups. Two
    documents say it all, where the server has them aggregated (Kubernetes 1.30 and later).
    """
    core, named = [await _read(client, path, f"{_AGGREGATED},application/json") for path in ("/api", "/apis")]
    if named.get("kind") == "APIGroupDiscoveryList" and core.get("kind") == named["kind"]:
        return _once(
            resource for group in (*core["items"], *named["items"]) for resource in _aggregated(group)
        )
    versions = [version["groupVersion"] for group in named["groups"] for version in _by_preference(group)]
    paths = {"v1": "/api/v1", **{version: f"/apis/{version}" for version in versions}}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(path: str) -> Any:
        async with gate:
            return await _read(client, path)

    documents = await asyncio.gather(*map(read, paths.values()))
    return _once(
        resource
        for version, document in zip(paths, documents, strict=True)
        for resource in _resources(version, document)
    )


def _once(resources: Iterable[ServedResource]) -> list[ServedResource]:
    found: dict[GroupResource, ServedResource] = {}
    for resource in resources:
        found.setdefault(resource.gvr.group_resource, resource)
    return list(found.values())


def _aggregated(group: Any) -> Iterator[ServedResource]:
    """The versions of an aggregated group are in the order of preference. A stale one has a server that is away."""
    name = group["metadata"].get("name", "")
    for version in group["versions"]:
        if version.get("freshness") == "Stale":
            raise ApiError(503, "DiscoveryFailed", f"discovery of {name}/{version['version']} is stale")
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
    """A group version that went meanwhile, with the definitions of its resources, has none."""
    code, body = await client.raw("GET", path, headers={"Accept": accept})
    if code == 404 and path.count("/") == 3:
        return {}
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
