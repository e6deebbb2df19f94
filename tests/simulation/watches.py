"""Watches in a simulated cluster: every member's data and hub are the real ones, clients read slowly and move on.

A client watches on one member until that one ends or says that what it owes is compacted; then it goes on with the
next revision elsewhere. What it gets is held to etcd's guarantees: ordered, unique, reliable, atomic, resumable,
bookmarkable, with the right previous values. Fed by `member.Member`; chance comes from a generator of its own, so
that the rest of a seed's history is the same without watches.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from kvstore.mvcc.store import Mvcc
from kvstore.types import Event, WatchCreateRequest, WatchResponse
from kvstore.watch import hub as hub_module
from kvstore.watch.hub import Watcher, WatchHub
from tests.simulation.promises import Violation
from tests.unit.kvstore.fakes import MemoryBackend

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

WATCHERS = 3
ROOM = 2
"""Responses that a stream holds unread."""
PAUSE = 0.4
KEYS = 5
DELETES, DOUBLES, COMPACTIONS = 6, 7, 29
"""One in so many writes deletes a key, writes two at once, compacts all but the last `HISTORY` revisions."""
HISTORY = 15
ENOUGH = 10_000
"""Steps in which a watch must have caught up when nothing new happens."""


@contextmanager
def small_slices() -> Iterator[None]:
    """So that catching up takes many."""
    with patch.object(hub_module, "SLICE_EVENTS", 3):
        yield


class Ledger:
    """What happened at each revision, as the first member that got there told its watchers."""

    def __init__(self) -> None:
        self._events: dict[int, tuple[Event, ...]] = {}
        self.revision = 1

    def tells(self, member: int, events: Sequence[Event]) -> None:
        for revision, found in itertools.groupby(events, lambda event: event.kv.mod_revision):
            own = tuple(found)
            if self._events.setdefault(revision, own) != own:
                raise Violation(f"member {member} tells {own} at {revision}, {self._events[revision]} before")
            self.revision = max(self.revision, revision)

    def matching(self, revision: int, request: WatchCreateRequest) -> list[Event]:
        """What the watch must be sent of one revision."""
        end = request.range_end
        found = [
            event
            for event in self._events.get(revision, ())
            if event.kv.key == request.key or (end and request.key <= event.kv.key < end)
        ]
        return found if request.prev_kv else [Event(event.type, event.kv) for event in found]


class Data:
    """One member's data and watches, in one life. `commands`: what it had applied when it started."""

    def __init__(self, member: int, ledger: Ledger, commands: Sequence[bytes]) -> None:
        self._member, self._ledger = member, ledger
        self._events: list[Event] = []
        self._mvcc = _made_of(commands)
        self.hub = WatchHub(self._mvcc)

    def apply(self, commands: Sequence[bytes]) -> None:
        for command in commands:
            self._events += _apply(self._mvcc, command)

    def flush(self) -> None:
        events, self._events = self._events, []
        if events:
            self._ledger.tells(self._member, events)
            self.hub.publish(events)

    def replace(self, commands: Sequence[bytes]) -> None:
        """By those of a snapshot."""
        self._events = []
        self._mvcc = _made_of(commands)
        self.hub.reset(self._mvcc)

    @property
    def compact_revision(self) -> int:
        return self._mvcc.compact_revision


def _made_of(commands: Sequence[bytes]) -> Mvcc:
    mvcc = Mvcc(MemoryBackend())
    for command in commands:
        _apply(mvcc, command)
    return mvcc


def _apply(mvcc: Mvcc, command: bytes) -> list[Event]:
    """What a command does depends on its number only. Changes of the members touch no key."""
    kind, *_, text = command.split()
    if kind != b"write":
        return []
    number = int(text)
    key = b"k%d" % (number % KEYS)
    if number % COMPACTIONS == COMPACTIONS - 1:
        mvcc.compact_revision = max(mvcc.compact_revision, mvcc.revision - HISTORY)
    if number % DELETES == DELETES - 1:
        mvcc.delete_range(key, b"")
    else:
        mvcc.put(key, command, 0)
        if number % DOUBLES == DOUBLES - 1:
            mvcc.put(b"k%d" % ((number + 1) % KEYS), command, 0)
    return mvcc.end()


class Buffer:
    """The hub's `Sink`; what `kvstore.watch.stream` is, without waiting."""

    def __init__(self) -> None:
        self.responses: deque[WatchResponse] = deque()
        self.was_full = False

    def offer(self, response: WatchResponse, weight: int) -> bool:
        if len(self.responses) >= ROOM:
            self.was_full = True
            return False
        self.responses.append(response)
        return True

    def push(self, response: WatchResponse) -> None:
        self.responses.append(response)

    def wake(self) -> None:
        """Readers come by themselves."""


class WatchClient:
    """`next_revision`: everything before it that matches was received."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        first = rng.randrange(KEYS)
        end = rng.choice([b"", b"k%d" % KEYS])
        self._request = WatchCreateRequest(b"k%d" % first, end, prev_kv=rng.random() < 0.5)
        self._watcher: Watcher | None = None
        self.next_revision = 1
        self.received = 0
        self._read_later()

    def _read_later(self) -> None:
        self._world.later(self._rng.random() * PAUSE, self._read)

    def _read(self) -> None:
        self._read_later()
        if not self._is_connected():
            self._connect()
        elif self._member.paused_until <= self._world.now:
            steps = self._rng.randint(1, 3)
            while steps and self._take():
                steps -= 1

    def _is_connected(self) -> bool:
        return self._watcher is not None and self._member.alive and self._member.life == self._life

    def _connect(self) -> None:
        member = self._world.pick(self._rng.random())
        if member.alive and member.paused_until <= self._world.now:
            self._watch_on(member)

    def _watch_on(self, member: Member) -> None:
        self._member, self._life, self._buffer = member, member.life, Buffer()
        request = WatchCreateRequest(
            self._request.key, self._request.range_end, self.next_revision, prev_kv=self._request.prev_kv
        )
        self._watcher = self._hub.add(request, 0, self._buffer)

    @property
    def _hub(self) -> WatchHub:
        return self._member.data.hub

    def _take(self) -> bool:
        """One step of reading; whether there was one to do."""
        assert self._watcher is not None
        if self._buffer.responses:
            self._receive(self._buffer.responses.popleft())
            if self._buffer.was_full and self._watcher is not None:
                self._buffer.was_full = False
                self._hub.revive([self._watcher])
        elif self._hub.owes([self._watcher]):
            self._hub.sync([self._watcher])
        else:
            self._is_up_to_date(self._hub.published)
            return False
        return self._watcher is not None

    def _receive(self, response: WatchResponse) -> None:
        if response.canceled:
            self._is_cancelled(response.compact_revision)
        for revision, events in itertools.groupby(response.events, lambda event: event.kv.mod_revision):
            self._gets(revision, list(events))

    def _gets(self, revision: int, events: list[Event]) -> None:
        if revision < self.next_revision:
            raise Violation(f"a watch that has all before {self.next_revision} gets {revision}")
        self._misses_none_before(revision)
        due = self._world.ledger.matching(revision, self._request)
        if not _same(events, due, self._member.data.compact_revision):
            raise Violation(f"a watch gets {events} of revision {revision}, not {due}")
        self.next_revision = revision + 1
        self.received += 1

    def _is_cancelled(self, compact_revision: int) -> None:
        if compact_revision <= self.next_revision:
            raise Violation(f"a watch that needs {self.next_revision} ends: {compact_revision} is compacted")
        self.next_revision = compact_revision
        self._watcher = None

    def _is_up_to_date(self, revision: int) -> None:
        """As a progress notification says."""
        self._misses_none_before(revision + 1)
        self.next_revision = max(self.next_revision, revision + 1)

    def _misses_none_before(self, revision: int) -> None:
        for missed in range(self.next_revision, revision):
            if due := self._world.ledger.matching(missed, self._request):
                raise Violation(f"a watch misses {due}")

    def finish(self) -> None:
        """All that is still to come, from a member that has everything; one that was removed need not have it."""
        newest = self._world.newest()
        for _ in range(ENOUGH):
            if not self._is_connected() or self._member.number in newest.machine.state.removed:
                self._watch_on(newest)
            if not self._take() and self._watcher is not None:
                return self._misses_none_before(self._world.ledger.revision + 1)
        raise Violation(f"a watch never gets {self.next_revision}")


def _same(events: list[Event], due: list[Event], compact_revision: int) -> bool:
    """A previous value may be missing if it is compacted."""

    def is_it(event: Event, wanted: Event) -> bool:
        before = wanted.prev_kv
        lacks = before is not None and before.mod_revision < compact_revision and event.prev_kv is None
        return event == (Event(wanted.type, wanted.kv) if lacks else wanted)

    return len(events) == len(due) and all(map(is_it, events, due))


def watch(world: World, seed: int) -> list[WatchClient]:
    rng = random.Random(f"watches {seed}")
    return [WatchClient(world, rng) for _ in range(WATCHERS)]
