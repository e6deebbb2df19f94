"""Follows the APIServices: the table of those that other servers serve, a monitor for each, status of the local ones.

``find`` is asked by the router for every request and by discovery; it is one look into a table that the watch cache
keeps current. What has to be written goes through the store by compare-and-swap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from apiserver.aggregator.availability import LOCAL, Condition, with_condition
from apiserver.aggregator.monitor import Monitor
from apiserver.aggregator.registration import Registration
from apiserver.aggregator.service import ApiService, GroupVersion
from apiserver.aggregator.service import read as read_service
from apiserver.aggregator.upstream import SERVICES, SLICES, Upstream
from apiserver.api import codec, meta
from apiserver.storage.interface import RevisionMismatch, StorageError

if TYPE_CHECKING:
    from apiserver.http.scope import Services
    from apiserver.storage.cacher import ResourceCache
    from apiserver.storage.entry import Entry

log = logging.getLogger(__name__)
_START_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 0.1  # several objects change together when a server moves


class Controller:
    """``changed`` is called whenever the remote APIServices are others than before."""

    def __init__(
        self, services: Services, upstream: Upstream, registration: Registration, changed: Callable[[], None]
    ) -> None:
        self._services = services
        self._upstream = upstream
        self._registration = registration
        self._changed = changed
        self._resource = services.registry.lookup("apiregistration.k8s.io", "v1", "apiservices")
        assert self._resource is not None
        self._cache: ResourceCache = services.cache(self._resource)
        self._known: dict[str, tuple[int, ApiService]] = {}
        self.failures: Counter[tuple[str, str]] = Counter()
        """How often each became unavailable, by name and reason."""
        self.remote: Mapping[GroupVersion, ApiService] = {}
        self._monitors: dict[str, Monitor] = {}
        self._seen: dict[str, Any] = {}
        self._wake = asyncio.Event()
        self._follows_endpoints = False

    async def start(self) -> None:
        """So that the first request finds the table; without a store that answers soon, it is filled later."""
        self._cache.listen(self._update)
        self._registration.listen(self._wake.set)
        with suppress(TimeoutError, StorageError):
            await self._cache.ready(_START_SECONDS)
        self._update()

    def all(self) -> list[ApiService]:
        return [item for _, item in self._known.values()]

    def _update(self) -> None:
        """Quick, and never raises: what cannot be read is not served."""
        read = {entry.key: self._read(entry) for entry in self._cache.select(self._cache.prefix)}
        self._known = {key: known for key, known in read.items() if known is not None}
        remote = {(item.group, item.version): item for item in self.all() if item.service is not None}
        before, self.remote = self.remote, remote
        if before != remote:
            self._count(before)
            self._changed()
        self._wake.set()

    def _count(self, before: Mapping[GroupVersion, ApiService]) -> None:
        for version, item in self.remote.items():
            known = before.get(version)
            if known is not None and known.available and not item.available:
                self.failures[item.name, item.reason] += 1

    def _read(self, entry: Entry) -> tuple[int, ApiService] | None:
        """None for what no server of this kind has stored."""
        known = self._known.get(entry.key)
        if known is not None and known[0] == entry.revision:
            return known
        try:
            return entry.revision, read_service(entry.object())
        except (AttributeError, KeyError, TypeError, codec.DecodeError) as exc:
            log.warning("a stored APIService cannot be read: %r", exc)
            return None

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                again = await self._attempt()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_SECONDS if again else None):
                        await self._wake.wait()
                await asyncio.sleep(_QUIET_SECONDS)
        finally:
            await asyncio.gather(*(monitor.stop() for monitor in self._monitors.values()))

    async def _attempt(self) -> bool:
        """Whether to try again although nothing changed."""
        try:
            await self._cache.ready()
            await self._registration.reconcile(self.all())
            await self._write_local()
            await self._keep_monitors()
        except (TimeoutError, StorageError) as exc:
            log.info("API services: %s", exc)
            return True
        except Exception:
            log.exception("API services")
            return True
        return False

    async def _write_local(self) -> None:
        """Without a Service an APIService is this server's own, and always available."""
        for item in self.all():
            if item.service is None and (item.available, item.reason) != (True, LOCAL.reason):
                await self.write(item.name, LOCAL)

    async def _keep_monitors(self) -> None:
        wanted = {item.name: item for item in self.remote.values()}
        for name in self._monitors.keys() - wanted.keys():
            await self._monitors.pop(name).stop()
            self._seen.pop(name, None)
        if wanted and not self._follows_endpoints:
            self._follow_endpoints()
        for name, item in wanted.items():
            await self._keep_monitor(name, item)

    async def _keep_monitor(self, name: str, item: ApiService) -> None:
        """Wake it when something changed that its answer depends on."""
        assert item.service is not None
        service, slices = (
            await self._upstream.service(item.service),
            await self._upstream.slices(item.service),
        )
        seen = (
            item.target,
            *(meta.resource_version(dict(obj)) for obj in (service, *slices) if obj is not None),
        )
        monitor = self._monitors.get(name)
        if monitor is None:
            self._monitors[name] = Monitor(item, self._upstream, self.write)
        elif self._seen.get(name) != seen:
            monitor.look(item)
        self._seen[name] = seen

    def _follow_endpoints(self) -> None:
        """From the first remote APIService on: nobody else here needs these caches for it."""
        self._follows_endpoints = True
        for gvr in (SERVICES, SLICES):
            resource = self._services.registry.lookup(*gvr)
            assert resource is not None
            self._services.cache(resource).listen(self._wake.set)

    async def write(self, name: str, condition: Condition) -> None:
        """Raises StorageError. A race is lost to who knows as much, or comes again by the cache."""
        assert self._resource is not None
        storage = self._services.storage
        stored, _ = await storage.get(self._resource.key("", name))
        if stored is None:
            return
        new = with_condition(codec.decode(stored.value), condition, meta.format_time(self._services.now()))
        if new is not None:
            with suppress(RevisionMismatch):
                await storage.update(stored.key, codec.encode(new), stored.revision)
