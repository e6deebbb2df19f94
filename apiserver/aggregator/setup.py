"""Puts the parts of this package together for one API server; what the rest of the server asks of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from apiserver.aggregator import proxying
from apiserver.aggregator.controller import Controller
from apiserver.aggregator.discovery import Discovery, wait
from apiserver.aggregator.openapi import Described, RemoteOpenApi
from apiserver.aggregator.registration import Registration
from apiserver.aggregator.service import ApiService, ordered
from apiserver.aggregator.trust import Trust
from apiserver.aggregator.upstream import SLICES, Upstream
from apiserver.http import bootstrap
from apiserver.http.reader import CacheReader

if TYPE_CHECKING:
    from apiserver.http.request_info import RequestInfo
    from apiserver.http.scope import Exchange, Services

log = logging.getLogger(__name__)
Object = dict[str, Any]
_FIRST: Final = "apiregistration.k8s.io"
"""The group that has no APIService, and leads the others."""


class Aggregator:
    """``start`` before the first request, ``run`` beside them, until it is cancelled."""

    def __init__(self, services: Services) -> None:
        reader = CacheReader(services.registry, services.caches, services.storage)
        slices = services.registry.lookup(*SLICES)
        assert slices is not None
        self._upstream = Upstream(services.config, reader, services.cache(slices))
        self._wake = asyncio.Event()
        resources = [
            services.registry.lookup(group, "v1", plural)
            for group, plural in (
                ("apiregistration.k8s.io", "apiservices"),
                ("apiextensions.k8s.io", "customresourcedefinitions"),
            )
        ]
        own, definitions = resources
        assert own is not None
        assert definitions is not None
        built_in = {obj["metadata"]["name"]: obj["spec"] for obj in bootstrap.objects(own)}
        registration = Registration(services, own, services.cache(definitions), built_in)
        self._controller = Controller(services, self._upstream, registration, self._wake.set)
        self._discovery = Discovery(self._upstream)
        self._openapi = RemoteOpenApi(self._upstream, services.openapi)
        self._trust = Trust(services)
        self.start = self._controller.start

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controller.run(), name="API services")
            group.create_task(self._follow_documents(), name="documents of API services")
            group.create_task(self._trust.run(), name="authentication of extension servers")

    async def _follow_documents(self) -> None:
        while True:
            if not self._controller.remote:
                await self._wake.wait()
            self._wake.clear()
            await wait(self._wake, complete=await self.refresh())

    async def refresh(self) -> bool:
        """Fetch the documents of all servers; whether all have answered."""
        try:
            remote = list(self._controller.remote.values())
            complete = await self._discovery.refresh(remote)
            return await self._openapi.refresh(remote) and complete
        except Exception:  # what a server says may be anything; the next one's is wanted all the same
            log.exception("documents of API services")
            return False

    # ---- asked for requests

    def find(self, info: RequestInfo) -> ApiService | None:
        """Who else serves this path; None: this server."""
        remote = self._controller.remote
        if not remote:
            return None
        if info.is_resource:
            return remote.get((info.group, info.version))
        parts = info.path.strip("/").split("/")
        if parts[0] == "api" and len(parts) >= 2:
            return remote.get(("", parts[1]))
        return remote.get((parts[1], parts[2])) if parts[0] == "apis" and len(parts) >= 3 else None

    async def serve(self, exchange: Exchange, item: ApiService) -> web.StreamResponse:
        return await proxying.serve(exchange, item, self._upstream)

    @property
    def serves_others(self) -> bool:
        """Whether any version is another server's."""
        return bool(self._controller.remote)

    def groups(self, own: Mapping[str, Collection[str]]) -> Mapping[str, Collection[str]]:
        """Versions by group: this server's ``own``, with those of others, in the order of their priorities.

        Those that have no APIService go last: a definition's is there a moment later.
        """
        if not self._controller.remote:
            return own
        known = ordered(self._controller.all())
        remote = self._controller.remote
        merged = {group: list(own[group]) for group in (_FIRST,) if group in own}
        for group, versions in known.items():
            mine = own.get(group, ())
            wanted = [name for name in versions if (group, name) in remote or name in mine]
            merged[group] = [*wanted, *(name for name in mine if name not in wanted)]
        merged |= {group: list(versions) for group, versions in own.items() if group not in merged}
        return {group: versions for group, versions in merged.items() if versions}

    def entry(self, group: str, version: str) -> Object | None:
        """What aggregated discovery says of a version that another server serves."""
        item = self._controller.remote.get((group, version))
        return None if item is None else self._discovery.entry(item)

    def unavailable(self) -> dict[str, float]:
        """For metrics: 1 for each APIService that is not available, else 0, by name."""
        return {item.name: float(not item.available) for item in self._controller.all()}

    def failures(self) -> Mapping[tuple[str, str], float]:
        """How often an APIService became unavailable, by name and reason."""
        return self._controller.failures

    def openapi(self) -> Mapping[str, Described]:
        """Documents of version 3 that are not this server's, by path."""
        return self._openapi.described()
