"""Which resources the server has, from its discovery documents."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec

from apiserver.api.gvk import GroupResource, GroupVersionResource
from components.client.errors import ApiError
from components.client.transport import ApiClient


class ServedResource(NamedTuple):
    gvr: GroupVersionResource
    kind: str
    namespaced: bool
    verbs: frozenset[str]


async def served_resources(client: ApiClient, failed: list[str] | None = None) -> list[ServedResource]:
    """Every resource once, in the first of its group's versions that has it, without subresources.

    A group prefers one version, but not every resource of it need be in that one: custom resources share groups.
    Group versions that cannot be read, because the API server behind them is not available, are put into ``failed``;
    what the others have is returned all the same.
    """
    groups = (await _read(client, "/apis"))["groups"]
    versions = [version["groupVersion"] for group in groups for version in _by_preference(group)]
    paths = {"v1": "/api/v1", **{version: f"/apis/{version}" for version in versions}}
    unread: list[str] = []
    documents = await asyncio.gather(*(_read(client, path, unread) for path in paths.values()))
    if failed is not None:
        failed += [version for version, path in paths.items() if path in unread]
    found: dict[GroupResource, ServedResource] = {}
    for version, document in zip(paths, documents, strict=True):
        for resource in _resources(version, document):
            found.setdefault(resource.gvr.group_resource, resource)
    return list(found.values())


def _by_preference(group: Any) -> list[Any]:
    preferred = group["preferredVersion"]
    return [preferred, *(version for version in group["versions"] if version != preferred)]


async def _read(client: ApiClient, path: str, unread: list[str] | None = None) -> Any:
    """A group version that went meanwhile, with the definitions of its resources, has none."""
    code, body = await client.raw("GET", path, headers={"Accept": "application/json"})
    if code == 404 and path.count("/") == 3:
        return {}
    if code == 503 and path.count("/") == 3 and unread is not None:
        unread.append(path)
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
