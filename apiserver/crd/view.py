"""Storage and caches as one version of a custom resource sees them: every value in its form.

A handler reads and writes through a view as through the plain store and knows nothing of versions, defaults
or conversion. Values are converted as they come from the store (a whole list or batch at once) and go back in
the storage version. Where nothing ever needs converting, the view is the plain store. Fed by ``resources``,
which makes one for each served version; ended with the definition, which ends its watches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from apiserver.http.fanout import Fanout
from apiserver.storage.cacher import Caches
from apiserver.storage.interface import (
    ListResult,
    RevisionMismatch,
    Storage,
    StorageEvent,
    StorageWatch,
    Stored,
    WatchBatch,
)

if TYPE_CHECKING:
    from apiserver.http.scope import Services


class Conversion(Protocol):
    """Between the bytes in the store, of any version, and those of one version."""

    async def read(self, values: Sequence[bytes]) -> list[bytes]:
        """Raises ConversionFailed."""
        ...

    async def written(self, value: bytes) -> bytes:
        """In the storage version. Raises ConversionFailed."""
        ...


class View:
    def __init__(self, storage: Storage, conversion: Conversion | None, beginning: int) -> None:
        """``beginning``: the revision since which the resource is served."""
        self.storage = storage if conversion is None else VersionedStorage(storage, conversion)
        self.caches = Caches(self.storage, beginning)
        self._conversion = conversion
        self._services: Services | None = None

    def services(self, services: Services) -> Services:
        """The server's parts, with the storage, caches and watchers of this view."""
        if self._services is None:
            self._services = replace(services, storage=self.storage, caches=self.caches, fanout=Fanout())
        return self._services

    async def read(self, value: bytes) -> bytes:
        return value if self._conversion is None else (await self._conversion.read([value]))[0]

    async def written(self, value: bytes) -> bytes:
        return value if self._conversion is None else await self._conversion.written(value)

    async def end(self) -> None:
        await self.caches.retire()


class VersionedStorage:
    """A ``Storage`` over another one."""

    def __init__(self, storage: Storage, conversion: Conversion) -> None:
        self._storage = storage
        self._conversion = conversion

    async def _read(self, items: Sequence[Stored]) -> list[Stored]:
        values = await self._conversion.read([item.value for item in items])
        return [
            item if value == item.value else replace(item, value=value, stale=True)
            for item, value in zip(items, values, strict=True)
        ]

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        found, revision = await self._storage.get(key, min_revision=min_revision, linearizable=linearizable)
        return (None if found is None else (await self._read([found]))[0]), revision

    async def list(
        self,
        prefix: str,
        *,
        start: str = "",
        limit: int = 0,
        revision: int = 0,
        min_revision: int = 0,
        linearizable: bool = True,
    ) -> ListResult:
        listed = await self._storage.list(
            prefix,
            start=start,
            limit=limit,
            revision=revision,
            min_revision=min_revision,
            linearizable=linearizable,
        )
        return replace(listed, items=await self._read(listed.items))

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        return await self._storage.create(key, await self._conversion.written(value), ttl=ttl)

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        written = await self._conversion.written(value)
        try:
            return await self._storage.update(key, written, expected_revision, ttl=ttl)
        except RevisionMismatch as exc:
            raise await self._mismatch(exc) from exc

    async def delete(self, key: str, expected_revision: int) -> int:
        try:
            return await self._storage.delete(key, expected_revision)
        except RevisionMismatch as exc:
            raise await self._mismatch(exc) from exc

    async def _mismatch(self, exc: RevisionMismatch) -> RevisionMismatch:
        current = exc.current
        return RevisionMismatch(exc.key, current and (await self._read([current]))[0])

    def watch(self, prefix: str, start_revision: int) -> AbstractAsyncContextManager[StorageWatch]:
        return self._watch(prefix, start_revision)

    @asynccontextmanager
    async def _watch(self, prefix: str, start_revision: int) -> AsyncIterator[StorageWatch]:
        async with self._storage.watch(prefix, start_revision) as watch:
            yield _Watch(watch, self._conversion)

    async def current_revision(self) -> int:
        return await self._storage.current_revision()

    async def compact(self, revision: int) -> None:
        await self._storage.compact(revision)


class _Watch:
    def __init__(self, watch: StorageWatch, conversion: Conversion) -> None:
        self._watch = watch
        self._conversion = conversion

    def request_progress(self) -> None:
        self._watch.request_progress()

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        async for batch in self._watch:
            yield WatchBatch(await self._events(batch.events), batch.revision)

    async def _events(self, events: Sequence[StorageEvent]) -> list[StorageEvent]:
        sides = [side for event in events for side in (event.value, event.previous)]
        read = iter(await self._conversion.read([side for side in sides if side is not None]))
        converted = [None if side is None else next(read) for side in sides]
        return [
            replace(event, value=converted[2 * at], previous=converted[2 * at + 1])
            for at, event in enumerate(events)
        ]
