"""Which resources the server has, from its discovery documents."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec

from apiserver.api.gvk import GroupVersionResource
from components.client.errors import ApiError
from components.client.transport import ApiClient


class ServedResource(NamedTuple):
    gvr: GroupVersionResource
    kind: str
    namespaced: bool
    verbs: frozenset[str]


async def served_resources(client: ApiClient) -> list[ServedResource]:
    """Every resource of the preferred version of each group, without subresources."""
    groups = (await _read(client, "/apis"))["groups"]
    versions = [group["preferredVersion"]["groupVersion"] for group in groups]
    paths = {"v1": "/api/v1", **{version: f"/apis/{version}" for version in versions}}
    documents = await asyncio.gather(*(_read(client, path) for path in paths.values()))
    return [
        resource
        for version, document in zip(paths, documents, strict=True)
        for resource in _resources(version, document)
    ]


async def _read(client: ApiClient, path: str) -> Any:
    code, body = await client.raw("GET", path, headers={"Accept": "application/json"})
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
