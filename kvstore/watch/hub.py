"""Brings every change to every watch that asked for it, in order, once, with all events of a revision
together.

Fed by `kvstore.statemachine.flush` with the events of each batch, read by `kvstore.watch.stream`. A watcher
is in one of three sets, named as in etcd by what is true of its members:

    synced     has been sent everything up to `published`; the next batch is sent to it at once
    unsynced   is owed revisions from `next_revision` on; `sync` feeds it from history, a slice at a time
    victims    is owed revisions, but its stream's buffer is full; it waits for the reader to make room

A slow reader thus costs one full buffer and never holds up a batch. Pure: no clock, no tasks; the stream's
owner calls `sync` when it has nothing else to hand out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from kvstore.mvcc.ranges import bounds, contains
from kvstore.types import Event, EventType, FilterType, WatchCreateRequest, WatchResponse
from kvstore.watch.intervals import IntervalMap

MAX_WATCHERS_PER_SYNC = 512
"""As in etcd: how many watchers share one pass over history."""
SLICE_EVENTS = 1000
SLICE_BYTES = 9 << 18
"""With the largest value on top still below the 4 MiB that many gRPC clients take by default."""

_FILTERED = {FilterType.NOPUT: EventType.PUT, FilterType.NODELETE: EventType.DELETE}


class Source(Protocol):
    """History: the part of `kvstore.mvcc.store.Mvcc` that the hub needs."""

    @property
    def revision(self) -> int: ...

    @property
    def compact_revision(self) -> int: ...

    def changes(self, start: int, end: int, *, prev_kv: bool) -> Iterator[Event]: ...


class Sink(Protocol):
    """The buffer of one stream."""

    def offer(self, response: WatchResponse, weight: int) -> bool:
        """Take the response, or say that there is no room now."""

    def push(self, response: WatchResponse) -> None:
        """Take a response that must not be lost and is not events."""

    def wake(self) -> None:
        """A watch of the stream is owed history: its reader has to ask for it (`WatchHub.sync`)."""


class Interest:
    """What a set of watchers has in common: they get the very same events."""

    def __init__(self, request: WatchCreateRequest) -> None:
        self.start, self.end = bounds(request.key or b"\0", request.range_end)
        self.prev_kv = request.prev_kv
        self.refused = frozenset(_FILTERED[f] for f in request.filters)
        self.watchers: dict[Watcher, None] = {}

    @property
    def name(self) -> tuple[bytes, bytes, bool, frozenset[EventType]]:
        return self.start, self.end, self.prev_kv, self.refused

    def is_empty(self) -> bool:
        return bool(self.end) and self.start >= self.end

    def shape(self, events: Iterable[Event]) -> list[Event]:
        """The events as these watchers want them."""
        wanted = (event for event in events if event.type not in self.refused)
        if self.prev_kv:
            return list(wanted)
        return [Event(event.type, event.kv) if event.prev_kv else event for event in wanted]


class Watcher:
    """One watch of one stream. Owed: every matching event from `next_revision` on that it was not sent."""

    def __init__(self, watch_id: int, sink: Sink, interest: Interest, next_revision: int) -> None:
        self.id = watch_id
        self.sink = sink
        self.interest = interest
        self.next_revision = next_revision


class WatchHub:
    """All watchers of one member. Each is in one of the sets `_synced`, `_unsynced`, `_victims`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.published = source.revision
        self._ranges: IntervalMap[Interest] = IntervalMap()
        self._synced: dict[tuple[bytes, bytes, bool, frozenset[EventType]], Interest] = {}
        self._unsynced: dict[Watcher, None] = {}
        self._victims: dict[Watcher, None] = {}

    def add(self, request: WatchCreateRequest, watch_id: int, sink: Sink) -> Watcher:
        """Start a watch, from the next revision to be applied unless the request names one."""
        next_revision = request.start_revision or self._source.revision + 1
        watcher = Watcher(watch_id, sink, Interest(request), next_revision)
        self._place(watcher)
        return watcher

    def remove(self, watcher: Watcher) -> None:
        if watcher in self._unsynced:
            del self._unsynced[watcher]
        elif watcher in self._victims:
            del self._victims[watcher]
        elif watcher in watcher.interest.watchers:
            self._unlist(watcher)

    def counts(self) -> tuple[int, int]:
        """(all watchers, those that are owed revisions)"""
        slow = len(self._unsynced) + len(self._victims)
        return slow + sum(len(interest.watchers) for interest in self._synced.values()), slow

    def is_synced(self, watcher: Watcher) -> bool:
        return watcher in watcher.interest.watchers

    def owes(self, watchers: Iterable[Watcher]) -> bool:
        """Whether one of them is owed revisions; not one that was cancelled because of compaction."""
        if not self._unsynced and not self._victims:
            return False
        return any(watcher in self._unsynced or watcher in self._victims for watcher in watchers)

    def publish(self, events: Sequence[Event]) -> None:
        """Hand out the events of all revisions above `published` up to the source's, in order."""
        self.published = self._source.revision
        matched: dict[Interest, list[Event]] = {}
        match = self._ranges.match
        for event in events:
            for interest in match(event.kv.key):
                matched.setdefault(interest, []).append(event)
        for interest, found in matched.items():
            self._hand_out(interest, interest.shape(found))

    def _hand_out(self, interest: Interest, events: list[Event]) -> None:
        if not events:
            return
        batch = tuple(events)
        weight = weigh(batch)
        first = batch[0].kv.mod_revision
        shared: dict[int, WatchResponse] = {}
        for watcher in list(interest.watchers):
            if watcher.next_revision <= first:
                response = shared.get(watcher.id)
                if response is None:
                    response = shared[watcher.id] = WatchResponse(watcher.id, self.published, batch)
            else:
                own = _from(batch, watcher.next_revision)
                if not own:
                    continue
                response = WatchResponse(watcher.id, self.published, own)
            if not watcher.sink.offer(response, weight):
                self._unlist(watcher)
                watcher.next_revision = response.events[0].kv.mod_revision
                self._victims[watcher] = None

    def reset(self, source: Source) -> None:
        """The state was replaced by a later one: what lies between is owed to everybody, from its history."""
        watchers = [watcher for interest in self._synced.values() for watcher in interest.watchers]
        for watcher in watchers:
            self._unlist(watcher)
            watcher.next_revision = max(watcher.next_revision, self.published + 1)
        self._source = source
        self.published = source.revision
        for watcher in watchers:
            self._place(watcher)
            watcher.sink.wake()

    def revive(self, watchers: Iterable[Watcher]) -> None:
        """Their stream has room again."""
        if not self._victims:
            return
        for watcher in watchers:
            if watcher in self._victims:
                del self._victims[watcher]
                self._place(watcher)

    def sync(self, watchers: Iterable[Watcher]) -> None:
        """Feed the unsynced of these watchers one slice of history, from where the first of them is.

        The pass is shared with other unsynced watchers that are there or later; those that are further behind
        have to wait for a pass of their own, so that nobody waits for them.
        """
        own = [watcher for watcher in watchers if watcher in self._unsynced]
        own = [watcher for watcher in own if not self._cancel_compacted(watcher)]
        if not own:
            return
        start = min(watcher.next_revision for watcher in own)
        others = (watcher for watcher in self._unsynced if watcher.next_revision >= start)
        chosen = heapq.nsmallest(MAX_WATCHERS_PER_SYNC, others, key=lambda w: w.next_revision)
        events, through = self._slice(chosen)
        for interest, fed in _by_interest(chosen):
            matching = [e for e in events if contains(interest.start, interest.end, e.kv.key)]
            self._feed(fed, tuple(interest.shape(matching)), through)

    def _slice(self, chosen: list[Watcher]) -> tuple[list[Event], int]:
        """Events of whole revisions from the lowest that is owed, and the last revision they cover."""
        prev_kv = any(watcher.interest.prev_kv for watcher in chosen)
        events: list[Event] = []
        weight = 0
        for event in self._source.changes(chosen[0].next_revision, self.published + 1, prev_kv=prev_kv):
            full = len(events) >= SLICE_EVENTS or weight >= SLICE_BYTES
            if full and event.kv.mod_revision != events[-1].kv.mod_revision:
                return events, events[-1].kv.mod_revision
            events.append(event)
            weight += weigh((event,))
        return events, self.published

    def _feed(self, watchers: list[Watcher], events: tuple[Event, ...], through: int) -> None:
        weight = weigh(events)
        for watcher in watchers:
            if watcher.next_revision > through:
                continue
            own = _from(events, watcher.next_revision)
            del self._unsynced[watcher]
            if own and not watcher.sink.offer(WatchResponse(watcher.id, self.published, own), weight):
                self._victims[watcher] = None
                continue
            watcher.next_revision = through + 1
            self._place(watcher)

    def _cancel_compacted(self, watcher: Watcher) -> bool:
        compact_revision = self._source.compact_revision
        if watcher.next_revision >= compact_revision:
            return False
        del self._unsynced[watcher]
        watcher.sink.push(WatchResponse(watcher.id, canceled=True, compact_revision=compact_revision))
        return True

    def _place(self, watcher: Watcher) -> None:
        if watcher.next_revision <= self.published:
            self._unsynced[watcher] = None
            return
        interest = self._synced.setdefault(watcher.interest.name, watcher.interest)
        if not interest.watchers:
            self._ranges.add(interest.start, interest.end, interest)
        watcher.interest = interest
        interest.watchers[watcher] = None

    def _unlist(self, watcher: Watcher) -> None:
        interest = watcher.interest
        del interest.watchers[watcher]
        if not interest.watchers:
            self._ranges.remove(interest.start, interest.end, interest)
            del self._synced[interest.name]


def weigh(events: Iterable[Event]) -> int:
    """About how many bytes of memory the events hold."""
    return sum(
        200 + len(e.kv.key) + len(e.kv.value) + (len(e.prev_kv.value) if e.prev_kv else 0) for e in events
    )


def _from(events: tuple[Event, ...], revision: int) -> tuple[Event, ...]:
    if not events or events[0].kv.mod_revision >= revision:
        return events
    return tuple(event for event in events if event.kv.mod_revision >= revision)


def _by_interest(watchers: list[Watcher]) -> list[tuple[Interest, list[Watcher]]]:
    groups: dict[object, tuple[Interest, list[Watcher]]] = {}
    for watcher in watchers:
        groups.setdefault(watcher.interest.name, (watcher.interest, []))[1].append(watcher)
    return list(groups.values())
