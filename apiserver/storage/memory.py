"""A storage in memory: the fake of the tests, and the API server's store when no data directory is given.

Single process, nothing survives. Keeps every version of every key until compacted, so that snapshot reads
and watches from the past behave as with a real store.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from apiserver.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    ListResult,
    RevisionMismatch,
    StorageEvent,
    Stored,
    WatchBatch,
)

_Version = tuple[int, bytes | None]  # (revision, value); None: deleted


class _Watch:
    """Fed synchronously by the storage; the queue is drained by one reader."""

    def __init__(self, storage: MemoryStorage, prefix: str) -> None:
        self._storage = storage
        self.prefix = prefix
        self._batches: asyncio.Queue[WatchBatch] = asyncio.Queue()

    def push(self, batch: WatchBatch) -> None:
        self._batches.put_nowait(batch)

    def request_progress(self) -> None:
        self.push(WatchBatch([], self._storage.revision))

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        while True:
            yield await self._batches.get()


class MemoryStorage:
    """See :class:`apiserver.storage.interface.Storage`."""

    def __init__(self) -> None:
        self.revision = 1
        self._compacted = 0
        self._versions: dict[str, list[_Version]] = {}
        self._keys: list[str] = []  # sorted; every key that has at least one version
        self._log: list[StorageEvent] = []
        self._watches: set[_Watch] = set()
        self._expiry: dict[str, asyncio.TimerHandle] = {}

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        if min_revision > self.revision:
            raise FutureRevision(min_revision, self.revision)
        return self._at(key, self.revision), self.revision

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
        asked = max(revision, min_revision)
        if asked > self.revision:
            raise FutureRevision(asked, self.revision)
        if revision and revision < self._compacted:
            raise Compacted(self._compacted)
        at = revision or self.revision
        found = [item for key in self._range(prefix, start) if (item := self._at(key, at)) is not None]
        if limit and len(found) > limit:
            return ListResult(found[:limit], at, True, len(found) - limit)
        return ListResult(found, at)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        if self._at(key, self.revision) is not None:
            raise KeyExists(key)
        return self._write(key, value, ttl)

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        self._check(key, expected_revision)
        return self._write(key, value, ttl)

    async def delete(self, key: str, expected_revision: int) -> int:
        self._check(key, expected_revision)
        return self._write(key, None)

    async def current_revision(self) -> int:
        return self.revision

    async def compact(self, revision: int) -> None:
        self._compacted = max(self._compacted, min(revision, self.revision))
        self._log = [event for event in self._log if event.revision >= self._compacted]
        for key in tuple(self._keys):
            self._compact_key(key)

    @asynccontextmanager
    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[_Watch]:
        if start_revision and start_revision < self._compacted:
            raise Compacted(self._compacted)
        watch = _Watch(self, prefix)
        past = [e for e in self._log if start_revision <= e.revision and e.key.startswith(prefix)]
        if past and start_revision:
            watch.push(WatchBatch(past, self.revision))
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def _at(self, key: str, revision: int) -> Stored | None:
        for changed, value in reversed(self._versions.get(key, ())):
            if changed <= revision:
                return None if value is None else Stored(key, value, changed)
        return None

    def _range(self, prefix: str, start: str) -> Sequence[str]:
        low = bisect_left(self._keys, max(prefix, start))
        high = bisect_left(self._keys, prefix + "\U0010ffff")
        return self._keys[low:high]

    def _check(self, key: str, expected_revision: int) -> None:
        current = self._at(key, self.revision)
        if current is None or current.revision != expected_revision:
            raise RevisionMismatch(key, current)

    def _write(self, key: str, value: bytes | None, ttl: int = 0) -> int:
        before = self._at(key, self.revision)
        self.revision += 1
        if key not in self._versions:
            insort(self._keys, key)
        self._versions.setdefault(key, []).append((self.revision, value))
        event = StorageEvent(key, self.revision, value, before.value if before else None)
        self._log.append(event)
        for watch in self._watches:
            if key.startswith(watch.prefix):
                watch.push(WatchBatch([event], self.revision))
        self._schedule_expiry(key, ttl)
        return self.revision

    def _schedule_expiry(self, key: str, ttl: int) -> None:
        old = self._expiry.pop(key, None)
        if old is not None:
            old.cancel()
        if ttl:
            self._expiry[key] = asyncio.get_running_loop().call_later(ttl, self._expire, key)

    def _expire(self, key: str) -> None:
        if self._at(key, self.revision) is not None:
            self._write(key, None)

    def _compact_key(self, key: str) -> None:
        """Keeps the version visible at the compacted revision and all later ones."""
        versions = self._versions[key]
        visible = max((i for i, (rev, _) in enumerate(versions) if rev <= self._compacted), default=0)
        kept = versions[visible:]
        if len(kept) == 1 and kept[0][1] is None and kept[0][0] <= self._compacted:
            del self._versions[key]
            self._keys.remove(key)
        else:
            self._versions[key] = kept
