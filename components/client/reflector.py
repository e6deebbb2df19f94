"""List and watch: keeps a sink up to date with one resource of the API server, whatever breaks.

Stands between the transport and an informer: `Reflector.run` pages through a list, hands it over with
`replace`, then feeds watch events one by one, resuming from the last resourceVersion it saw. As
client-go's reflector.go, with one difference: any broken connection resumes the watch (client-go
relists after some errors), because resuming is always correct and cheaper.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.backoff import Backoff
from components.client.errors import ApiError, ConnectionFailed
from components.client.transport import WatchEvent

logger = logging.getLogger(__name__)

PAGE_SIZE = 500
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_MIN_WATCH_SECONDS = 300  # the server ends a watch after 5 to 10 minutes, so that load spreads over servers


class ListWatcher(Protocol):
    """What of `ApiClient` a reflector needs; `testing.FakeApi` has it too."""

    async def list(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str | None = None,
        metadata_only: bool = False,
    ) -> Object: ...

    def watch(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]: ...


class Sink(Protocol):
    """Receives a full listing, then changes. Must not raise."""

    def replace(self, items: list[Object]) -> None: ...
    def changed(self, event: WatchEvent) -> None: ...


class Scope:
    """Which objects of a resource are followed; ``metadata_only``: of them no more than that."""

    def __init__(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> None:
        self.metadata_only = metadata_only
        self.gvr = gvr
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector


class Reflector:
    """Runs until cancelled. `last_version` is the resourceVersion up to which the sink is current."""

    def __init__(self, client: ListWatcher, scope: Scope, sink: Sink, rng: random.Random) -> None:
        self.last_version = ""
        self._client = client
        self._scope = scope
        self._sink = sink
        self._rng = rng
        self._expired = False
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, rng)

    async def run(self) -> None:
        while True:
            try:
                await self._list()
                await self._follow()
            except ApiError as error:
                await self._pause("list", error)

    async def _list(self) -> None:
        """One full listing: first at "0" (any version the server has), later not before the last seen."""
        start = "" if self._expired else (self.last_version or "0")
        try:
            items, version = await self._pages(start)
        except ApiError as error:
            if not (error.is_gone or error.is_too_large_resource_version) or not start:
                raise
            # The server cannot serve that version: take its newest instead.
            items, version = await self._pages("")
        self._expired = False
        self.last_version = version
        self._sink.replace(items)

    async def _pages(self, version: str) -> tuple[list[Object], str]:
        # A limit with an exact minimum version would bypass the server's cache.
        limit = PAGE_SIZE if version in ("", "0") else 0
        page = await self._page(limit, version, "")
        first_version = page["metadata"]["resourceVersion"]
        items = list(page["items"])
        while token := page["metadata"].get("continue"):
            try:
                page = await self._page(limit, None, token)
            except ApiError as error:
                if not error.is_gone:
                    raise
                # The listing took longer than the server keeps history: once more in one piece.
                page = await self._page(0, "", "")
                return page["items"], page["metadata"]["resourceVersion"]
            items += page["items"]
        return items, first_version

    async def _page(self, limit: int, version: str | None, token: str) -> Object:
        scope = self._scope
        return await self._client.list(
            scope.gvr,
            scope.namespace,
            label_selector=scope.label_selector,
            field_selector=scope.field_selector,
            limit=limit,
            continue_=token,
            resource_version=version,
            metadata_only=scope.metadata_only,
        )

    async def _follow(self) -> None:
        """Watch and watch again until the server no longer has our version."""
        while True:
            before = self.last_version
            try:
                await self._watch_once()
            except ApiError as error:
                if error.is_gone or error.is_too_large_resource_version:
                    self._expired = True
                    logger.info("%s: version %s is gone, listing again", self._scope.gvr, self.last_version)
                    return
                if self.last_version != before:
                    self._backoff.reset()
                if not _resumable(error):
                    raise
                await self._pause("watch", error)
            else:
                # A server that ends every watch at once must not be asked in a tight loop.
                await asyncio.sleep(0 if self.last_version != before else self._backoff.next())

    async def _watch_once(self) -> None:
        scope = self._scope
        stream = self._client.watch(
            scope.gvr,
            scope.namespace,
            resource_version=self.last_version,
            label_selector=scope.label_selector,
            field_selector=scope.field_selector,
            timeout_seconds=int(_MIN_WATCH_SECONDS * (1 + self._rng.random())),
            metadata_only=scope.metadata_only,
        )
        async with aclosing(stream):
            async for event in stream:
                version = event.object["metadata"]["resourceVersion"]
                if _is_older(version, self.last_version):
                    continue  # told before: a server that goes back in time must not take us along
                if event.type != "BOOKMARK":
                    self._sink.changed(event)
                self.last_version = version
                self._backoff.reset()

    async def _pause(self, verb: str, error: ApiError) -> None:
        pause = self._backoff.next()
        logger.warning("%s %s: %s; again in %.1f s", verb, self._scope.gvr, error, pause)
        await asyncio.sleep(pause)


def _resumable(error: ApiError) -> bool:
    return isinstance(error, ConnectionFailed) or error.is_too_many_requests or error.code >= 500


def _is_older(version: str, than: str) -> bool:
    """Versions are numbers that only grow; what is no number is taken as it comes. Of one version there may be several
    events, so an equal one is not older: what the sink has already, it knows by its version.
    """
    return version.isdigit() and than.isdigit() and int(version) < int(than)
