"""Which resources controllers of all resources see."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from components.client.errors import ApiError
from components.controllers.common.discovery import served_resources


class Documents:
    """Answers with what is listed; a path that is not is gone."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self._documents = documents

    async def raw(self, method: str, path: str, **_: object) -> tuple[int, bytes]:
        document = self._documents.get(path)
        return (404, b"") if document is None else (200, msgspec.json.encode(document))


def listed(*names: str) -> Any:
    return {
        "resources": [
            {"name": name, "kind": name.title(), "namespaced": True, "verbs": ["list"]} for name in names
        ]
    }


def test_each_resource_is_seen_once_also_in_versions_that_are_not_preferred() -> None:
    versions = [{"groupVersion": f"example.com/{name}"} for name in ("v2", "v1", "v1alpha1")]
    documents = Documents(
        {
            "/api": {"versions": ["v1"]},
            "/apis": {
                "groups": [{"name": "example.com", "preferredVersion": versions[1], "versions": versions}]
            },
            "/api/v1": listed("pods", "pods/status"),
            "/apis/example.com/v1": listed("foos"),
            "/apis/example.com/v2": listed("foos", "bars"),
        }
    )
    found = asyncio.run(served_resources(documents))  # type: ignore[arg-type]
    assert [str(resource.gvr) for resource in found] == [
        "/v1, Resource=pods",
        "example.com/v1, Resource=foos",
        "example.com/v2, Resource=bars",
    ]


def test_two_aggregated_documents_say_the_same() -> None:
    def version(name: str, *resources: str) -> Any:
        entries = [
            {"resource": r, "responseKind": {"kind": r.title()}, "scope": "Cluster", "verbs": ["list"]}
            for r in resources
        ]
        return {"version": name, "resources": entries, "freshness": "Current"}

    def document(name: str, *versions: Any) -> Any:
        group = {"metadata": {"name": name} if name else {}, "versions": list(versions)}
        return {"kind": "APIGroupDiscoveryList", "items": [group]}

    group = document("example.com", version("v1", "foos"), version("v2", "foos", "bars"))
    documents = Documents({"/api": document("", version("v1", "pods")), "/apis": group})
    found = asyncio.run(served_resources(documents))  # type: ignore[arg-type]
    assert [(str(resource.gvr), resource.kind, resource.namespaced) for resource in found] == [
        ("/v1, Resource=pods", "Pods", False),
        ("example.com/v1, Resource=foos", "Foos", False),
        ("example.com/v2, Resource=bars", "Bars", False),
    ]

    group["items"][0]["versions"][1]["freshness"] = "Stale"
    with pytest.raises(ApiError, match=r"discovery of example\.com/v2 is stale"):
        asyncio.run(served_resources(Documents({"/api": document("", version("v1")), "/apis": group})))  # type: ignore[arg-type]
