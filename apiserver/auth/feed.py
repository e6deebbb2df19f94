"""Changes of one stored resource, taken from its watch cache when somebody asks.

The authorizers keep indexes of what is stored. They ask for changes before each decision, so an index is as current as
the watch cache and costs nothing while nobody decides. Who falls too far behind gets everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apiserver.storage.cacher import CacheReset, Cursor, ResourceCache, WatcherTooSlow
from apiserver.storage.entry import Entry

Put = Callable[[Entry], None]
Remove = Callable[[str], None]


class Feed:
    """`put(entry)` for what is stored, `remove(path)` for what is gone: its key without the resource's prefix."""

    def __init__(self, cache: ResourceCache, put: Put, remove: Remove) -> None:
        self.cache = cache
        self._put = put
        self._remove = remove
        self._known: set[str] = set()
        self._cursor: Cursor | None = None

    async def ready(self) -> None:
        """Waits until the cache is filled, which it is at once after the first time."""
        if not self.cache.revision:
            await self.cache.ready()

    def poll(self) -> None:
        """Passes on what has changed since the last time; the cache must be ready."""
        if self._cursor is None:
            self._fill()
            return
        try:
            changes = self._cursor.take()
        except (CacheReset, WatcherTooSlow):
            self._fill()
            return
        for change in changes:
            if change.deleted:
                self._drop([change.entry.key])
            else:
                self._store(change.entry)

    def _fill(self) -> None:
        self._cursor = Cursor(self.cache)
        entries = self.cache.select(self.cache.prefix)
        self._drop(self._known - {entry.key for entry in entries})
        for entry in entries:
            self._store(entry)

    def _store(self, entry: Entry) -> None:
        self._known.add(entry.key)
        self._put(entry)

    def _drop(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._known.discard(key)
            self._remove(key[len(self.cache.prefix) :])
