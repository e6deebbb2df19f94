"""Keeps the levels in step with the stored objects, and lets requests run, wait or go.

Fed by the watch caches of flowschemas and prioritylevelconfigurations; used by ``http.filters.priority``. A change
marks the table stale; the next request reads it anew. Until the caches are filled the bundled objects hold, so that a
server is never without limits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from apiserver.auth.user import User
from apiserver.flowcontrol import objects, shuffle
from apiserver.flowcontrol.matching import FlowSchema, Request, first_match
from apiserver.flowcontrol.queueset import Outcome, QueueSet, Ticket
from apiserver.storage.cacher import CacheReset, Caches, Cursor, ResourceCache, WatcherTooSlow

SCHEMAS: Final = "/registry/flowschemas/"
LEVELS: Final = "/registry/prioritylevelconfigurations/"
_REMEMBERED: Final = 4096
K = TypeVar("K")
V = TypeVar("V")
Clock = Callable[[], float]


class Rejected(Exception):
    """``reason`` is that of the metric: queue-full, concurrency-limit or time-out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Classified:
    """Where a request belongs; ``flow`` tells it from other flows of its schema."""

    schema: FlowSchema
    level: LiveLevel
    flow: str


@dataclass(slots=True, eq=False)
class LiveLevel:
    """A level with its queues. The counters are by schema, for the metrics."""

    config: objects.Level
    queues: QueueSet
    dispatched: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    executing: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)


class FlowController:
    """``seats``: of the whole server. ``patience``: seconds that a request may wait in a queue."""

    def __init__(
        self,
        bundled: tuple[Sequence[objects.Object], Sequence[objects.Object]],
        seats: int,
        patience: float,
        clock: Clock,
        waited: Callable[[str, str, bool, float], None],
    ) -> None:
        self._bundled = bundled
        self._seats = seats
        self._patience = patience
        self._clock = clock
        self._waited = waited  # (level, schema, executed, seconds)
        self._stored = bundled
        self._read: Callable[[], tuple[list[Any], list[Any]]] | None = None
        self._stale = False
        self._woken: dict[Ticket, asyncio.Future[None]] = {}
        self._hashes: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[object, ...], FlowSchema] = {}
        self.levels: dict[str, LiveLevel] = {}
        self._take(objects.table(*bundled, bundled, seats))

    # ---- the objects

    async def follow(self, caches: Caches) -> None:
        """Until cancelled: read the stored objects, and again whenever they change."""
        feeds = [_Feed(caches.of(prefix), self._mark) for prefix in (SCHEMAS, LEVELS)]
        try:
            for feed in feeds:
                await feed.start()
            self._read = lambda: (feeds[0].objects(), feeds[1].objects())
            self._mark()
            await asyncio.Event().wait()
        finally:
            for feed in feeds:
                feed.close()

    def _mark(self) -> None:
        self._stale = True

    def _refresh(self) -> None:
        self._stale = False
        if self._read is not None:
            self._stored = self._read()
        self._take(objects.table(*self._stored, self._bundled, self._seats))

    def _take(self, table: objects.Table) -> None:
        self.table = table
        self._known.clear()
        for name in self.levels.keys() - table.levels.keys():
            del self.levels[name]  # those under way and in its queues keep it until they are done
        for name, config in table.levels.items():
            level = self.levels.get(name)
            if level is None:
                self.levels[name] = LiveLevel(config, QueueSet(config.queuing, config.seats))
            elif level.config != config:
                level.config = config
                level.queues.configure(config.queuing, config.seats)
                self._wake(level.queues.dispatch(self._clock()))

    # ---- the requests

    def classify(self, request: Request, user: User) -> Classified:
        if self._stale:
            self._refresh()
        key = (
            user.name,
            user.groups,
            request.verb,
            request.group,
            request.resource,
            request.subresource,
            request.namespace,
            "" if request.is_resource else request.path,
        )
        schema = self._known.get(key)
        if schema is None:
            schema = self._match(request, user)
            _remember(self._known, key, schema)
        return Classified(schema, self.levels[schema.level], schema.flow_of(request, user))

    def _match(self, request: Request, user: User) -> FlowSchema:
        """catch-all takes every request, but for those of users without any group."""
        found = first_match(self.table.schemas, request, user)
        return found or next(s for s in self.table.schemas if s.name == objects.CATCH_ALL)

    async def enter(self, found: Classified) -> Ticket:
        """Returns when the request may run; give the ticket back by :meth:`leave`. Raises Rejected."""
        level, name = found.level, found.schema.name
        ticket = Ticket(self._hash(name, found.flow))
        outcome = level.queues.offer(ticket, self._clock())
        if outcome.rejected:
            self._reject(level, name, outcome.value)
        if outcome is Outcome.QUEUED:
            await self._wait(level, name, ticket)
        level.dispatched[name] += 1
        level.executing[name] += 1
        return ticket

    def leave(self, found: Classified, ticket: Ticket) -> None:
        """The request has ended, however it did."""
        found.level.executing[found.schema.name] -= 1
        self._wake(found.level.queues.finish(ticket, self._clock()))

    def _reject(self, level: LiveLevel, schema: str, reason: str) -> None:
        level.rejected[schema, reason] += 1
        raise Rejected(reason)

    async def _wait(self, level: LiveLevel, schema: str, ticket: Ticket) -> None:
        """Returns with a seat. Raises Rejected; a cancelled request gives up its place."""
        woken = self._woken[ticket] = asyncio.get_running_loop().create_future()
        level.waiting[schema] += 1
        try:
            async with asyncio.timeout(self._patience):
                await woken
        except (TimeoutError, asyncio.CancelledError) as exc:
            self._give_up(level, ticket)
            self._waited(level.config.name, schema, False, self._clock() - ticket.arrived)
            if isinstance(exc, TimeoutError):
                self._reject(level, schema, "time-out")
            level.rejected[schema, "cancelled"] += 1
            raise
        finally:
            level.waiting[schema] -= 1
            del self._woken[ticket]
        self._waited(level.config.name, schema, True, ticket.started - ticket.arrived)

    def _give_up(self, level: LiveLevel, ticket: Ticket) -> None:
        """A seat that came in the same moment goes to the next."""
        if not level.queues.cancel(ticket, self._clock()):
            self._wake(level.queues.finish(ticket, self._clock()))

    def _wake(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            woken = self._woken[ticket]
            if not woken.done():
                woken.set_result(None)

    def _hash(self, schema: str, flow: str) -> int:
        found = self._hashes.get((schema, flow))
        if found is None:
            found = shuffle.flow_hash(schema, flow)
            _remember(self._hashes, (schema, flow), found)
        return found


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Bounded: what is asked for again is soon known again."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value


class _Feed:
    """Tells of every change of one cache."""

    def __init__(self, cache: ResourceCache, changed: Callable[[], None]) -> None:
        self._cache, self._tell = cache, changed
        self._cursor: Cursor | None = None

    async def start(self) -> None:
        await self._cache.ready(float("inf"))
        self._cursor = Cursor(self._cache)
        self._cache.listen(self._changed)

    def objects(self) -> list[Mapping[str, Any]]:
        return [entry.object() for entry in self._cache.select(self._cache.prefix)]

    def close(self) -> None:
        self._cursor = None

    def _changed(self) -> None:
        if self._cursor is None:
            return
        try:
            if self._cursor.take():
                self._tell()
        except (CacheReset, WatcherTooSlow):
            self._cursor = Cursor(self._cache)
            self._tell()
