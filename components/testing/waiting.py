"""Waits for an object to come into a state, by a watch: no sleep, no poll while nothing happens.

Whatever happens to the watch (it ends, it expires, the master behind it is killed), the object is read again and
watched from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import EVENTS
from components.client.transport import ApiClient
from components.testing.conditions import Check, NotReached, explain
from components.testing.discovery import Resource

_PAUSE = 0.05  # before the API server is asked again that has refused
_EVENT_SECONDS = 2.0


class Waiter:
    """One wait for one object."""

    def __init__(
        self, client: ApiClient, resource: Resource, namespace: str | None, name: str, check: Check
    ) -> None:
        self._client, self._resource = client, resource
        self._namespace = namespace if resource.namespaced else None
        self._name, self._check = name, check
        self._last: Object | None = None
        self._trouble = ""

    async def run(self, seconds: float) -> Object | None:
        """The object in the state that was waited for; None if that is its absence. Raises NotReached."""
        try:
            async with asyncio.timeout(seconds):
                while not await self._attempt():
                    pass
        except TimeoutError:
            raise NotReached(await self._explained(seconds)) from None
        return self._last

    async def _attempt(self) -> bool:
        try:
            return await self._read_and_watch()
        except ApiError as error:
            self._trouble = str(error)
            if not error.is_gone:
                await asyncio.sleep(_PAUSE)
            return False

    async def _read_and_watch(self) -> bool:
        selector = f"metadata.name={self._name}"
        gvr, namespace = self._resource.gvr, self._namespace
        listed = await self._client.list(gvr, namespace, field_selector=selector)
        self._trouble = ""
        self._last = listed["items"][0] if listed["items"] else None
        if self._check(self._last):
            return True
        version = listed["metadata"]["resourceVersion"]
        watch = self._client.watch(gvr, namespace, resource_version=version, field_selector=selector)
        async with aclosing(watch):
            async for event in watch:
                if event.type == "BOOKMARK":
                    continue
                self._last = None if event.type == "DELETED" else event.object
                if self._check(self._last):
                    return True
        return False

    async def _explained(self, seconds: float) -> str:
        where = f"{self._namespace}/" if self._namespace else ""
        what = f"{self._resource.gvr.resource} {where}{self._name}"
        events = await self._events()
        return explain(what, self._check, seconds, self._last, events, self._trouble)

    async def _events(self) -> Sequence[Object]:
        selector = f"involvedObject.name={self._name},involvedObject.kind={self._resource.kind}"
        try:
            async with asyncio.timeout(_EVENT_SECONDS):
                found = await self._client.list(EVENTS, self._namespace or "default", field_selector=selector)
        except (ApiError, TimeoutError):
            return []
        items: list[Object] = found["items"]
        return items
