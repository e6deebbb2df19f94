"""One writer for all watchers of a resource: each event becomes bytes once, whoever sees it.

Stands between the watch cache, which tells the :class:`Hub` of changes, and ``handlers.watch``, whose watchers join it.
Watchers that see the same bytes (scope, selectors, form) are one :class:`Group`. A group's new events are joined into
one piece and put on every connection in turn, some in each turn of the event loop: that is a *round*. Events that come
during a round leave with the next one, and after a round over many watchers there is a short rest, so that in a burst
many events share a write. A single event after a quiet time is written at once.

No watcher holds up another: one whose connection is full leaves (`Member.deliver` returns False), reads on from the
cache's ring by itself, and joins again. Positions in the ring make that safe at any moment. Invariant: a member has
been given every event of its group before its `position`; the group still has, or will get, every one from there on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from apiserver.api.fields import FieldSelector
from apiserver.api.labels import Selector
from apiserver.storage.cacher import CacheReset, ResourceCache, WatcherTooSlow
from apiserver.storage.entry import CacheEvent, Entry

if TYPE_CHECKING:
    from apiserver.http.render import Framing

log = logging.getLogger(__name__)

SLICE: Final = 50
"""Writes in one turn of the event loop, about a millisecond."""
REST_PER_WRITE: Final = 100e-6
"""Seconds. A write costs the kernel and the client as much again as it costs here."""
LONGEST_REST: Final = 0.1
_SHORTEST_REST: Final = 0.001  # the event loop's clock counts in milliseconds

Matches = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as the watchers of a group see it; ``position``: its place in the ring."""

    position: int
    event: CacheEvent
    kind: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Audience:
    """What watchers that see the same bytes have in common. ``scope``: a key, or a prefix of keys that ends with a
    slash; ``form``: :attr:`Framing.form`."""

    scope: str
    selectors: tuple[Selector, FieldSelector]
    form: str


class Member(Protocol):
    """A watcher. ``since``: events up to this revision are known to its client already; 0: none that can still come."""

    position: int
    since: int
    framing: Framing

    def deliver(self, piece: Piece) -> bool:
        """Put a piece of the answer on the connection; False: that was the last for now, it has left."""
        ...

    def sent(self, frames: Iterable[bytes], times: int) -> None:
        """Count the events: so many watchers were given each of these frames."""
        ...

    def end(self) -> None:
        """The watch is over."""
        ...


class Piece:
    """Frames that leave together: `data` as HTTP/2 carries it, `chunk` as HTTP/1.1 does; either is made once."""

    __slots__ = ("_chunk", "data")

    def __init__(self, frames: Iterable[bytes]) -> None:
        self.data = b"".join(frames)
        self._chunk = b""

    @property
    def chunk(self) -> bytes:
        if not self._chunk:
            self._chunk = b"%x\r\n%b\r\n" % (len(self.data), self.data)
        return self._chunk


class Outlet(Protocol):
    """A client's connection, or its part of one, as `aiohttp.web.BaseRequest.protocol`. `when_lost` is called once it
    can no longer be written to."""

    when_lost: Callable[[], None] | None

    @property
    def writing_paused(self) -> bool: ...

    def give(self, piece: Piece) -> None: ...


def see(position: int, event: CacheEvent, matches: Matches | None) -> Seen | None:
    """None: the event does not concern watchers with this filter."""
    seen = event.seen_by(matches)
    return None if seen is None else Seen(position, event, *seen)


def private(member: Member, items: Iterable[Seen]) -> list[bytes]:
    """Frames for one member: what it has not been given yet, in its own form."""
    frames, framing = [], member.framing
    for item in items:
        if item.position < member.position or item.event.revision <= member.since:
            continue
        member.since = 0
        frames.append(item.event.frame(item.kind, framing.name, framing.make, item.entry))
        framing.once()
    member.sent(frames, 1)
    return frames


class Group:
    """Members, and what they have still to be given."""

    def __init__(self, audience: Audience, matches: Matches | None, framing: Framing, position: int) -> None:
        self.audience = audience
        self.members: dict[Member, None] = {}
        self.busy = False  # waits for its round, is in it, or rests
        self.pending: list[tuple[int, CacheEvent]] = []  # (position, event), not filtered yet
        self.position = position  # events before it have been given out, or belong to the round that runs
        self._matches = matches
        self._framing = framing
        self._items: list[Seen] = []
        self._waiting: list[Member] = []
        self._shared: Piece | None = None

    def begin(self, position: int) -> int:
        """Starts a round of everything before ``position``; how many members it has."""
        pending, self.pending, self.position = self.pending, [], position
        seen = (see(at, event, self._matches) for at, event in pending)
        self._items = [item for item in seen if item is not None]
        self._waiting = list(reversed(self.members)) if self._items else []
        self._shared = None
        return len(self._waiting)

    def go_on(self, writes: int) -> int:
        """Up to so many writes of the round; how many there were. None were left if it is fewer."""
        done = 0
        while done < writes and self._waiting:
            member = self._waiting.pop()
            if member in self.members:
                done += 1
                if not self._give(member):
                    self.members.pop(member, None)
        return done

    @property
    def finished(self) -> bool:
        return not self._waiting

    def settled(self, end: int) -> int:
        """Events before that have been given to every member, or concern none; ``end``: that of what was looked at."""
        if not self.finished:
            return self._items[0].position
        return self.pending[0][0] if self.pending else end

    def _give(self, member: Member) -> bool:
        try:
            piece = self._piece(member)
            member.position = max(member.position, self.position)
            return member.deliver(piece) if piece is not None else True
        except Exception:  # whatever a connection does, the others get their events
            log.exception("a watcher of %s is dropped", self.audience.scope)
            member.end()
            return False

    def _piece(self, member: Member) -> Piece | None:
        own_form = member.framing.name != self._framing.name
        if own_form or member.since or member.position > self._items[0].position:
            frames = private(member, self._items)
            return Piece(frames) if frames else None
        if self._shared is None:
            name, make = self._framing.name, self._framing.make
            frames = [i.event.frame(i.kind, name, make, i.entry) for i in self._items]
            member.sent(frames, len(self._waiting) + 1)
            self._shared = Piece(frames)
        return self._shared


class Hub:
    """The groups of one cache, and whose turn it is."""

    def __init__(self, cache: ResourceCache) -> None:
        self._cache = cache
        self._groups: dict[Audience, Group] = {}
        self._scopes: dict[str, list[Group]] = {}
        self._position, self._epoch = cache.end, cache.epoch
        self._queue: deque[Group] = deque()
        self._now: Group | None = None  # its round is running
        self._members_of_round = 0
        self._going = False
        cache.listen(self._changed)

    @property
    def watched(self) -> bool:
        """Whether there is any member."""
        return bool(self._groups)

    def join(self, member: Member, audience: Audience, matches: Matches | None) -> None:
        """The member must have been given everything before its position, and that must be the ring's end."""
        group = self._groups.get(audience)
        if group is None:
            group = Group(audience, matches, member.framing.later(), self._position)
            self._groups[audience] = group
            self._scopes.setdefault(audience.scope, []).append(group)
        group.members[member] = None

    def leave(self, member: Member, audience: Audience) -> None:
        """Its position is where it has to read on: behind all that did not concern it, however long it was quiet."""
        group = self._groups.get(audience)
        if group is None or member not in group.members:
            return
        del group.members[member]
        member.position = max(member.position, group.settled(self._position))
        if not group.members:
            self._forget(group)

    def _forget(self, group: Group) -> None:
        """A watcher that left for a moment founds it anew."""
        if self._groups.get(group.audience) is not group:
            return
        del self._groups[group.audience]
        others = self._scopes[group.audience.scope]
        others.remove(group)
        if not others:
            del self._scopes[group.audience.scope]

    def _changed(self) -> None:
        """Called by the cache for every change, before it forgets anything."""
        try:
            events, end = self._cache.take(self._position, self._epoch, 1 << 30)
        except (CacheReset, WatcherTooSlow):
            self._start_over()
            return
        first, self._position = self._position, end
        for position, event in enumerate(events, first):
            for group in self._concerned(event.entry.key):
                group.pending.append((position, event))
                if not group.busy:
                    self._enqueue(group)

    def _concerned(self, key: str) -> list[Group]:
        """By key, by namespace, by resource."""
        scopes, everything = self._scopes, self._cache.prefix
        namespace = key[: key.rfind("/") + 1]
        groups = scopes.get(key, []) + scopes.get(everything, [])
        return groups if namespace == everything else groups + scopes.get(namespace, [])

    def _start_over(self) -> None:
        self._position, self._epoch = self._cache.end, self._cache.epoch
        for group in list(self._groups.values()):
            members, group.members = group.members, {}
            self._forget(group)
            for member in members:
                member.end()

    def _enqueue(self, group: Group) -> None:
        group.busy = True
        self._queue.append(group)
        if not self._going:
            self._going = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        left = SLICE
        while left > 0 and (group := self._turn()) is not None:
            left -= 1 + group.go_on(left)
            if group.finished:
                self._now = None
                self._end_round(group)
        self._going = self._now is not None or bool(self._queue)
        if self._going:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _turn(self) -> Group | None:
        if self._now is None and self._queue:
            self._now = self._queue.popleft()
            self._members_of_round = self._now.begin(self._position)
        return self._now

    def _end_round(self, group: Group) -> None:
        if not group.members:
            self._forget(group)
        rest = min(self._members_of_round * REST_PER_WRITE, LONGEST_REST)
        if rest < _SHORTEST_REST:
            self._rested(group)
        else:
            asyncio.get_running_loop().call_later(rest, self._rested, group)

    def _rested(self, group: Group) -> None:
        group.busy = False
        if group.pending and group.members:
            self._enqueue(group)


class Fanout:
    """The hubs of one API server, made on first use."""

    def __init__(self) -> None:
        self._hubs: dict[ResourceCache, Hub] = {}

    def of(self, cache: ResourceCache) -> Hub:
        hub = self._hubs.get(cache)
        if hub is None:
            hub = self._hubs[cache] = Hub(cache)
        return hub
