"""Finds a resource by whatever a test calls it: ``pods``, ``po``, ``Pod``, ``deployments.apps``, or an object's kind.

Asks the API server once for all it has, and again when a word is not among it: definitions are made in tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.transport import ApiClient

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SECONDS = 5.0
_PAUSE = 0.05


class UnknownResource(LookupError):
    """The API server has nothing of that name."""


class Resource(NamedTuple):
    gvr: GroupVersionResource
    kind: str
    namespaced: bool
    names: frozenset[str]

    @property
    def api_version(self) -> str:
        return f"{self.gvr.group}/{self.gvr.version}" if self.gvr.group else self.gvr.version


class Discovery:
    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: list[Resource] = []

    async def named(self, word: str) -> Resource:
        """Raises UnknownResource."""
        plain, _, group = word.partition(".")
        return await self._find(
            lambda found: plain.lower() in found.names and group in ("", found.gvr.group), word
        )

    async def of(self, obj: Object) -> Resource:
        """By ``apiVersion`` and ``kind``; a definition that is new may take a moment. Raises UnknownResource."""
        kind, version = obj.get("kind"), obj.get("apiVersion")
        return await self._find(
            lambda found: (found.kind, found.api_version) == (kind, version), f"{kind} of {version}"
        )

    async def _find(self, fits: Callable[[Resource], bool], word: str) -> Resource:
        deadline = asyncio.get_running_loop().time() + _SECONDS
        while (found := next(filter(fits, self._known), None)) is None:
            if self._known and asyncio.get_running_loop().time() > deadline:
                raise UnknownResource(f"the API server has no {word}")
            if self._known:
                await asyncio.sleep(_PAUSE)
            self._known = [*await self._ask("/api"), *await self._ask("/apis")]
        return found

    async def _ask(self, path: str) -> list[Resource]:
        code, answer = await self._client.raw("GET", path, headers={"Accept": _ACCEPT})
        document = json.loads(answer)
        if code != 200:
            raise ApiError.from_status(document, code)
        return list(_resources(document))


def _resources(document: dict[str, Any]) -> Iterator[Resource]:
    for group in document["items"]:
        for version in group["versions"]:
            for found in version["resources"]:
                gvr = GroupVersionResource(
                    group["metadata"].get("name", ""), version["version"], found["resource"]
                )
                kind = found["responseKind"]["kind"]
                names = {found["resource"], found.get("singularResource", ""), kind.lower()}
                names.update(found.get("shortNames") or ())
                yield Resource(gvr, kind, found["scope"] == "Namespaced", frozenset(names - {""}))
