"""The watch cache: one per stored resource, fed by one storage watch, read by every list and watcher.

Holds the current objects as bytes (:class:`Entry`) and a bounded ring of recent events. Watchers keep a position
in the ring; there is no queue per watcher, so a slow one costs no memory and is dropped once the ring has moved past
it. Listeners are told when there is more. Started on first use. Knows nothing of HTTP or of kinds.

Example, capacity 3: events at positions 7, 8, 9 are held; a watcher at 8 reads 8 and 9; two more events make the
ring 9..11: the watcher, had it stayed at 8, gets :class:`WatcherTooSlow`.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Final

from apiserver.storage.entry import CacheEvent, Entry
from apiserver.storage.interface import (
    Compacted,
    Storage,
    StorageError,
    StorageEvent,
    StorageWatch,
    Undecodable,
    WatchBatch,
)

log = logging.getLogger(__name__)

RING: Final = 8192
RING_BYTES: Final = 16 << 20  # large objects would fill the memory long before they are so many
_RETRY_SECONDS: Final = 0.05
_LONGEST_RETRY: Final = 2.0
_LAST: Final = "\U0010ffff"


class WatcherTooSlow(Exception):
    """The ring no longer holds the watcher's next event."""


class CacheReset(Exception):
    """The cache had to be filled anew; watchers must start over."""


class TooOld(Exception):
    """Events after ``asked`` are no longer known; the oldest known follow ``oldest``."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


class NotYet(Exception):
    """The cache did not reach the revision in time."""

    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"Too large resource version: {asked}, current: {current}")
        self.asked = asked
        self.current = current


class ResourceCache:
    """``prefix`` ends with a slash: ``/registry/pods/``. ``beginning``: the revision since which there is such a
    resource; nobody can have seen an earlier one of it.
    """

    def __init__(
        self, storage: Storage, prefix: str, capacity: int = RING, beginning: int = 0, held: int = RING_BYTES
    ) -> None:
        self._storage = storage
        self._beginning = beginning
        self.prefix = prefix
        self._capacity = capacity
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._ring_bytes, self._held = held, 0  # of the objects of _events: at most, now
        self._events: list[CacheEvent] = []
        self._base = 0  # position of _events[0]
        self._oldest = 0  # events after this revision are in the ring
        self._last_change = 0
        self.epoch = 0
        """Counts fills: positions of one mean nothing in another."""
        self.revision = 0
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._watch: StorageWatch | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: StorageError | None = None

    # ---- life

    async def ready(self, timeout: float = 10.0) -> None:
        """Starts the cache if needed and waits until it is filled."""
        if self.revision:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"cache {self.prefix}")
        async with asyncio.timeout(timeout):
            while not self.revision:
                await self._changed.wait()
                if isinstance(self._failure, Undecodable):
                    raise self._failure

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def retire(self) -> None:
        """Close for good: watchers must start over, and find what is there then."""
        await self.close()
        self.epoch += 1
        self._notify()

    async def _run(self) -> None:
        delay = _RETRY_SECONDS
        while True:
            try:
                await self._fill_and_follow()
            except StorageError as exc:
                log.warning("cache of %s starts over: %s", self.prefix, exc)
                self._failure = exc
                self._notify()
            except Exception:  # a value that no view can read, say: else watchers would wait for ever
                log.exception("cache of %s starts over", self.prefix)
            if self._watch is not None:  # it was filled
                delay, self._watch = _RETRY_SECONDS, None
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_RETRY)

    async def _fill_and_follow(self) -> None:
        entries, revision = await self._listed()
        async with self._storage.watch(self.prefix, revision + 1) as watch:
            self._reset(entries, revision)
            self._watch = watch
            async for batch in watch:
                self._apply(batch)

    async def _listed(self) -> tuple[dict[str, Entry], int]:
        """What is stored, and at which revision. The values as the store gives them are held no longer than this."""
        listed = await self._storage.list(self.prefix, linearizable=not self.epoch)
        return {s.key: Entry(s.key, s.value, s.revision) for s in listed.items}, listed.revision

    def _reset(self, entries: dict[str, Entry], revision: int) -> None:
        self._entries = entries
        self._keys = sorted(entries)
        self._base += len(self._events)
        self._events = []
        self._held = 0
        self._oldest = self.revision = self._last_change = revision
        self.epoch += 1
        self._failure = None
        self._notify()

    def _apply(self, batch: WatchBatch) -> None:
        for event in batch.events:
            change = self._change(event)
            self._events.append(change)
            self._held += len(change.entry.item)
        if batch.events:
            self._last_change = batch.events[-1].revision
        self.revision = max(self.revision, batch.revision)
        self._notify()
        if len(self._events) > 2 * self._capacity or self._held > 2 * self._ring_bytes:
            self._forget()

    def _forget(self) -> None:
        """Down to half of what is too much: seldom, as a cut costs as much as the ring is long."""
        cut = max(0, len(self._events) - self._capacity)
        self._held -= sum(len(event.entry.item) for event in self._events[:cut])
        while self._held > self._ring_bytes:
            self._held -= len(self._events[cut].entry.item)
            cut += 1
        self._oldest = self._events[cut - 1].revision
        self._base += cut
        del self._events[:cut]

    def _change(self, event: StorageEvent) -> CacheEvent:
        previous = self._entries.get(event.key)
        if event.value is not None:
            entry = self._entries[event.key] = Entry(event.key, event.value, event.revision)
            if previous is None:
                insort(self._keys, event.key)
            return CacheEvent(entry, previous, deleted=False)
        if previous is not None:
            del self._entries[event.key]
            del self._keys[bisect_left(self._keys, event.key)]
        return _deletion(event, previous)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for listener in self._listeners:
            listener()

    # ---- reading

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def select(self, prefix: str, start: str = "") -> list[Entry]:
        """Entries with the key prefix, in key order, from ``start`` on."""
        return self.page(prefix, start, 0)[0]

    def page(self, prefix: str, start: str, limit: int) -> tuple[list[Entry], int]:
        """The first ``limit`` (0: all) of :meth:`select`, and how many follow them."""
        keys = self._keys
        low = bisect_left(keys, max(prefix, start)) if prefix != self.prefix or start else 0
        high = bisect_left(keys, prefix + _LAST) if prefix != self.prefix else len(keys)
        end = min(high, low + limit) if limit else high
        entries = self._entries
        return [entries[key] for key in keys[low:end]], max(0, high - end)

    def stands_at(self, revision: int) -> bool:
        """Whether the objects are now as they were at ``revision``."""
        return self._last_change <= revision <= self.revision

    async def wait_until(self, revision: int, timeout: float = 3.0) -> None:
        """Waits until the cache has seen ``revision``. Raises NotYet."""
        await self.ready()
        if self.revision >= revision:
            return
        if self._watch is not None:
            self._watch.request_progress()
        try:
            async with asyncio.timeout(timeout):
                while self.revision < revision:
                    await self._changed.wait()
                    if isinstance(self._failure, Undecodable):
                        raise self._failure
        except TimeoutError:
            raise NotYet(revision, self.revision) from None

    async def wait_current(self, timeout: float = 10.0) -> int:
        """Waits until the cache holds every write acknowledged before the call; returns that revision."""
        if self._task is None:
            await self.ready(timeout)
            return self.revision  # the fill itself was a linearizable read
        revision = await self._storage.current_revision()
        await self.wait_until(revision, timeout)
        return revision

    async def refresh(self) -> None:
        """Brings ``revision`` up to date if the watch is alive; used before bookmarks."""
        if self._watch is not None:
            self._watch.request_progress()
            await asyncio.sleep(0)

    # ---- watching

    def listen(self, listener: Callable[[], None]) -> None:
        """``listener`` is called after every change, before old events are forgotten. It is quick and never raises."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    def position(self, since: int) -> int:
        """Where events after ``since`` begin in the ring. Raises TooOld; the cache must be ready.

        ``since`` may be ahead of this cache: a client that another, faster server has served up to there.
        """
        if since < self._oldest:
            raise TooOld(since, self._oldest)
        return self._base + bisect_left(self._events, since + 1, key=lambda event: event.revision)

    @property
    def end(self) -> int:
        """The position of the next event."""
        return self._base + len(self._events)

    async def history(self, since: int, prefix: str) -> list[CacheEvent]:
        """Events after ``since`` up to the beginning of the ring, read from the store.

        Lets clients resume on a server whose cache began later than their last event: after a restart or when they
        move to another server. Raises TooOld when the store has compacted them or there are too many.
        """
        oldest, found = self._oldest, list[CacheEvent]()
        if since < self._beginning:
            raise TooOld(since, oldest)
        known: dict[str, Entry] = {}
        try:
            async with asyncio.timeout(5.0), self._storage.watch(prefix, since + 1) as watch:
                watch.request_progress()
                async for batch in watch:
                    found.extend(_replay(e, known) for e in batch.events if e.revision <= oldest)
                    if batch.revision >= oldest:
                        return found
                    if len(found) > self._capacity:
                        break
        except (
            Compacted,
            Undecodable,
            TimeoutError,
        ):  # what is stored now may be readable where the past is not
            pass
        raise TooOld(since, oldest)

    def take(self, position: int, epoch: int, limit: int) -> tuple[list[CacheEvent], int]:
        """Events from ``position`` on, possibly none, and the position behind them.

        Raises WatcherTooSlow, CacheReset."""
        if epoch != self.epoch:
            raise CacheReset
        if position < self._base:
            raise WatcherTooSlow
        at = position - self._base
        events = self._events[at : at + limit]
        return events, position + len(events)

    @property
    def oldest(self) -> int:
        return self._oldest

    # ---- for metrics and health

    @property
    def size(self) -> int:
        return len(self._entries)

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def events_received(self) -> int:
        return self._base + len(self._events)

    @property
    def initializations(self) -> int:
        return self.epoch


class Cursor:
    """Where somebody inside the server who follows a cache stands in its ring: from now on."""

    __slots__ = ("_cache", "_epoch", "_position")

    def __init__(self, cache: ResourceCache) -> None:
        self._cache = cache
        self._position, self._epoch = cache.end, cache.epoch

    def take(self) -> list[CacheEvent]:
        """The next events, possibly none. Raises WatcherTooSlow, CacheReset."""
        events, self._position = self._cache.take(self._position, self._epoch, 1 << 30)
        return events


class Caches:
    """The caches of one API server, by storage prefix, made on first use."""

    def __init__(self, storage: Storage, beginning: int = 0) -> None:
        self._storage = storage
        self._beginning = beginning
        self._caches: dict[str, ResourceCache] = {}
        self._essential: tuple[str, ...] = ()

    def of(self, prefix: str) -> ResourceCache:
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = ResourceCache(self._storage, prefix, beginning=self._beginning)
        return cache

    def started(self, prefix: str) -> ResourceCache | None:
        """The cache, if somebody has used it."""
        cache = self._caches.get(prefix)
        return cache if cache is not None and cache.started else None

    def require(self, prefixes: Iterable[str]) -> None:
        """Says what the server cannot do without."""
        self._essential = tuple(prefixes)

    async def prime(self) -> None:
        """Starts what is required, and waits until it is filled."""
        await asyncio.gather(*(self.of(prefix).ready(float("inf")) for prefix in self._essential))

    def unfilled(self) -> list[str]:
        """Prefixes of the required caches that do not hold anything yet."""
        return [prefix for prefix in self._essential if not self.of(prefix).revision]

    async def close(self) -> None:
        await asyncio.gather(*(cache.close() for cache in self._caches.values()))

    async def retire(self) -> None:
        await asyncio.gather(*(cache.retire() for cache in self._caches.values()))


def _deletion(event: StorageEvent, previous: Entry | None) -> CacheEvent:
    last = event.previous
    if last is None:
        last = b'{"kind":"","apiVersion":"","metadata":{}}'
    return CacheEvent(Entry(event.key, last, event.revision), previous, deleted=True)


def _replay(event: StorageEvent, known: dict[str, Entry]) -> CacheEvent:
    previous = known.get(event.key)
    if previous is None and event.previous is not None:
        previous = Entry(event.key, event.previous, event.revision - 1)
    if event.value is None:
        known.pop(event.key, None)
        return _deletion(event, previous)
    entry = known[event.key] = Entry(event.key, event.value, event.revision)
    return CacheEvent(entry, previous, deleted=False)


Matches = Callable[[Entry], bool]
