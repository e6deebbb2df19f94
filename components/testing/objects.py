"""What a test does with objects, as dicts: asynchronous; `handle` puts a synchronous face on it."""

from __future__ import annotations

import copy
import json
from typing import Any

from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.paths import resource_path
from components.client.transport import ApiClient
from components.testing.conditions import Check, Condition
from components.testing.discovery import Discovery, Resource
from components.testing.waiting import Waiter

APPLY_PATCH = "application/apply-patch+yaml"
FIELD_MANAGER = "kuberaft-test"
_DEFINITION = "CustomResourceDefinition"
_SERVED_SECONDS = 10.0


class Objects:
    """In one namespace, unless an object or a call names another."""

    def __init__(self, client: ApiClient, discovery: Discovery, namespace: str) -> None:
        self._client = client
        self._discovery = discovery
        self._namespace = namespace

    async def create(self, obj: Object) -> Object:
        resource, namespace = await self._place(obj)
        made = await self._client.create(resource.gvr, obj, namespace=namespace)
        return await self._served(made)

    async def apply(self, obj: Object) -> Object:
        """Server-side, by force."""
        resource, namespace = await self._place(obj)
        name = obj["metadata"]["name"]
        applied = copy.deepcopy(obj)
        if namespace:
            applied["metadata"].setdefault("namespace", namespace)
        code, answer = await self._client.raw(
            "PATCH",
            resource_path(resource.gvr, namespace, name),
            body=json.dumps(applied).encode(),
            headers={"Content-Type": APPLY_PATCH},
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
        )
        if code >= 300:
            raise ApiError.from_status(json.loads(answer), code)
        return await self._served(json.loads(answer))

    async def get(self, word: str, name: str, namespace: str | None) -> Object:
        resource = await self._discovery.named(word)
        return await self._client.get(resource.gvr, name, self._in(resource, namespace))

    async def list(self, word: str, namespace: str | None, labels: str) -> list[Object]:
        """``namespace``: "*" for all."""
        resource = await self._discovery.named(word)
        where = None if namespace == "*" else self._in(resource, namespace)
        items: list[Object] = (await self._client.list(resource.gvr, where, label_selector=labels))["items"]
        return items

    async def patch(
        self, word: str, name: str, patch: Any, namespace: str | None, subresource: str | None
    ) -> Object:
        """A merge patch."""
        resource = await self._discovery.named(word)
        where = self._in(resource, namespace)
        return await self._client.patch(resource.gvr, name, patch, where, subresource=subresource)

    async def delete(self, word: str, name: str, namespace: str | None) -> None:
        resource = await self._discovery.named(word)
        await self._client.delete(resource.gvr, name, self._in(resource, namespace))

    async def wait_for(
        self, word: str, name: str, condition: Condition, namespace: str | None, seconds: float
    ) -> Object | None:
        """Raises NotReached."""
        resource = await self._discovery.named(word)
        where = self._in(resource, namespace)
        return await Waiter(self._client, resource, where, name, Check(condition)).run(seconds)

    async def _served(self, made: Object) -> Object:
        """Of a definition: when its resource is there."""
        if made.get("kind") == _DEFINITION:
            name = made["metadata"]["name"]
            found = await self.wait_for(
                "customresourcedefinitions", name, "Established", None, _SERVED_SECONDS
            )
            return found or made
        return made

    async def _place(self, obj: Object) -> tuple[Resource, str | None]:
        resource = await self._discovery.of(obj)
        return resource, self._in(resource, obj.get("metadata", {}).get("namespace"))

    def _in(self, resource: Resource, namespace: str | None) -> str | None:
        return (namespace or self._namespace) if resource.namespaced else None
