"""Follows the definitions: serves the resources of those that are established, and keeps their status.

Runs in every API server; nobody leads. Each writes what it finds missing by compare-and-swap, and what
another one wrote meanwhile arrives by the watch cache. What is served changes in one step: a new list of
resources and types replaces the old one. Fed by the cache of definitions; ``naming`` decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from apiserver.api import codec, meta
from apiserver.crd import naming
from apiserver.crd.cleanup import Cleanup
from apiserver.crd.definition import Definition
from apiserver.crd.resources import Parts, Served, served
from apiserver.crd.structural import SchemaTooDeep
from apiserver.storage.cacher import CacheReset, Cursor, ResourceCache, WatcherTooSlow
from apiserver.storage.interface import RevisionMismatch, Storage, StorageError

if TYPE_CHECKING:
    from apiserver.storage.entry import Entry

log = logging.getLogger(__name__)

Object = dict[str, Any]
Publish = Callable[[Sequence[Served]], None]
_RETRY_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0


class DefinitionController:
    def __init__(
        self,
        cache: ResourceCache,
        storage: Storage,
        parts: Parts,
        publish: Publish,
        cleanup: Cleanup,
        now: Callable[[], datetime],
    ) -> None:
        """``publish`` is given everything that is served, whenever that changes."""
        self._cache = cache
        self._storage = storage
        self._parts = parts
        self._publish = publish
        self._cleanup = cleanup
        self._now = now
        self._served: dict[str, Served] = {}
        self._known: dict[str, tuple[int, Definition]] = {}
        self._published = False
        self._wake = asyncio.Event()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Serve what is established already; without a store that answers soon, later."""
        with suppress(TimeoutError, StorageError):
            await self._cache.ready(_START_SECONDS)
            self._serve()

    async def run(self) -> None:
        self._cache.listen(self._wake.set)
        while True:
            try:
                await self._cache.ready()
                await self._follow()
            except (TimeoutError, StorageError, CacheReset, WatcherTooSlow) as exc:
                log.info("definitions are read anew: %s", exc)
            except Exception:
                log.exception("definitions are read anew")
            await asyncio.sleep(_RETRY_SECONDS)

    async def stop(self) -> None:
        self._cleanup.stop()
        await asyncio.gather(*(item.end() for item in self._served.values()), *self._ending)

    async def _follow(self) -> None:
        """Raises when the cache starts over."""
        cursor = Cursor(self._cache)
        while True:
            self._wake.clear()
            cursor.take()
            changed = self._serve()
            retry = False
            for definition, entry in changed:
                retry |= not await self._reconcile(definition, entry)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS if retry else None):
                    await self._wake.wait()

    def _serve(self) -> list[tuple[Definition, Entry]]:
        """Bring what is served in line with the cache; the definitions whose status must be looked at."""
        entries = {entry.key: entry for entry in self._cache.select(self._cache.prefix)}
        changed = [entry for key, entry in entries.items() if self._revision(key) != entry.revision]
        gone = [key for key in self._known if key not in entries]
        groups = {self._known[key][1].group for key in gone}
        for key in gone:
            del self._known[key]
            self._cleanup.forget(key)
        for entry in changed:
            definition = _read(entry)
            if definition is not None:
                self._known[entry.key] = (entry.revision, definition)
                groups.add(definition.group)
        if changed or gone or not self._published:
            self._swap()
        new = {entry.key for entry in changed}
        return [
            (definition, entries[key])
            for key, (_, definition) in self._known.items()
            if key in new
            or not definition.established
            or not (definition.settled or definition.group not in groups)
        ]

    def _revision(self, key: str) -> int:
        known = self._known.get(key)
        return known[0] if known is not None else 0

    def _swap(self) -> None:
        wanted = {key: item for key, (_, item) in self._known.items() if item.established}
        before = self._served
        self._served = {
            key: kept
            if (kept := before.get(key)) is not None and kept.definition.identity == definition.identity
            else served(definition, self._parts)
            for key, definition in wanted.items()
            if not (definition.terminating and definition.cleaned)
        }
        ended = [item for key, item in before.items() if self._served.get(key) is not item]
        if ended or len(before) != len(self._served) or not self._published:
            self._published = True
            self._publish(list(self._served.values()))
        for item in ended:
            task = asyncio.create_task(item.end(), name=f"end {item.definition.name}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _reconcile(self, definition: Definition, entry: Entry) -> bool:
        """False: to be tried again although nothing changed."""
        if definition.terminating:
            if not definition.cleaned:
                self._cleanup.begin(entry.key, definition)
            return True
        await asyncio.sleep(0)
        obj = codec.decode(entry.data)
        others = [item.accepted for _, item in self._known.values() if _rivals(item, definition)]
        status = naming.reconciled(obj, naming.Taken.by(others), meta.format_time(self._now()))
        if status is None:
            return True
        try:
            await self._storage.update(entry.key, codec.encode({**obj, "status": status}), entry.revision)
        except RevisionMismatch:
            return True  # what is stored now arrives by the cache
        except StorageError as exc:
            log.warning("the status of %s cannot be written: %s", definition.name, exc)
            return False
        return True


def _rivals(other: Definition, definition: Definition) -> bool:
    return other.group == definition.group and other.name != definition.name


def _read(entry: Entry) -> Definition | None:
    """None for what no server of this kind has stored."""
    try:
        definition = Definition(lambda: entry.data, entry.revision)
        _ = not definition.established or (definition.accepted["plural"], definition.accepted["kind"])
        return definition
    except (AttributeError, KeyError, TypeError, StopIteration, SchemaTooDeep, codec.DecodeError) as exc:
        log.warning("a stored definition cannot be read: %r", exc)
        return None
