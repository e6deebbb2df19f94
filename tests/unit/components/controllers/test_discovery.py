"""Which resources controllers of all resources see."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec

from components.controllers.common.discovery import served_resources
from components.controllers.namespace.plan import with_conditions


class Documents:
    """Answers with what is listed; a path that is not is gone, and one with None not available."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self._documents = documents

    async def raw(self, method: str, path: str, **_: object) -> tuple[int, bytes]:
        if path not in self._documents:
            return 404, b""
        document = self._documents[path]
        return (503, b"service unavailable") if document is None else (200, msgspec.json.encode(document))


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


def test_a_server_that_is_not_available_hides_nothing_but_its_own() -> None:
    versions = [{"groupVersion": f"example.com/{name}"} for name in ("v2", "v1")]
    documents = Documents(
        {
            "/api": {"versions": ["v1"]},
            "/apis": {
                "groups": [{"name": "example.com", "preferredVersion": versions[0], "versions": versions}]
            },
            "/api/v1": listed("pods"),
            "/apis/example.com/v2": None,
            "/apis/example.com/v1": listed("foos"),
        }
    )
    failed: list[str] = []
    found = asyncio.run(served_resources(documents, failed))  # type: ignore[arg-type]
    assert [str(resource.gvr) for resource in found] == [
        "/v1, Resource=pods",
        "example.com/v1, Resource=foos",
    ]
    assert failed == ["example.com/v2"]
    namespace = {"metadata": {"name": "n"}, "status": {}}
    updated = with_conditions(namespace, {}, {}, "", datetime(2026, 1, 1, tzinfo=UTC), failed)
    condition = updated["status"]["conditions"][0]
    assert condition["type"] == "NamespaceDeletionDiscoveryFailure"
    assert (condition["status"], condition["reason"]) == ("True", "DiscoveryFailed")
    assert condition["message"] == (
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        "example.com/v2: stale GroupVersion discovery: example.com/v2"
    )


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
    failed: list[str] = []
    found = asyncio.run(served_resources(documents, failed))  # type: ignore[arg-type]
    assert [str(resource.gvr) for resource in found] == [
        "/v1, Resource=pods",
        "example.com/v1, Resource=foos",
    ]
    assert failed == ["example.com/v2"]
