"""One function per promise of a watch (https://etcd.io/docs/latest/learning/api_guarantees/#watch-apis).

A stream is what one observer saw: a watch and those that resumed it, in order. The first three promises can be
judged from the stream alone; the others need the revisions as they were (`Model`, from an order that was found).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvstore.check.compare import describe_kv, same_kv
from kvstore.check.history import Event, History, KeyValue, Watch, Watched
from kvstore.check.model import Model, in_range


@dataclass(frozen=True)
class Violation:
    """`rule` is the name of the function that found it; `revision` where in the history it is."""

    rule: str
    watch: int
    revision: int
    text: str


@dataclass(frozen=True)
class Leg:
    """One watch and its responses, in the order they came."""

    watch: Watch
    responses: tuple[Watched, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(event for response in self.responses for event in response.events)

    @property
    def start(self) -> int | None:
        """The first revision that belongs to the watch; None as long as the store did not say."""
        if self.watch.start_revision:
            return self.watch.start_revision
        return next((r.revision + 1 for r in self.responses if r.created), None)


Stream = tuple[Leg, ...]


def streams(history: History) -> list[Stream]:
    """The watches of a history, each with those that resumed it."""
    responses: dict[int, list[Watched]] = {}
    for response in history.watched:
        responses.setdefault(response.watch, []).append(response)
    legs = {w.watch: Leg(w, tuple(responses.get(w.watch, ()))) for w in history.watches}
    following = {w.resumes: w.watch for w in history.watches}
    return [tuple(_chain(first, legs, following)) for first, leg in legs.items() if leg.watch.resumes is None]


def _chain(first: int, legs: dict[int, Leg], following: dict[int | None, int]) -> Iterator[Leg]:
    number: int | None = first
    while number is not None:
        yield legs[number]
        number = following.get(number)


def check_watches(history: History, model: Model | None) -> list[Violation]:
    """`model`: the store after all that happened; None if no order was found."""
    found: list[Violation] = []
    for stream in streams(history):
        for rule in ALONE:
            found.extend(rule(stream))
        for judge in WITH_MODEL if model is not None else ():
            assert model is not None
            found.extend(judge(stream, model))
    return found


# Judged from the stream alone.


def ordered(stream: Stream) -> Iterator[Violation]:
    """An event never comes after one of a later revision."""
    last = 0
    for leg in stream:
        for event in leg.events:
            if event.revision < last:
                yield _violation("ordered", leg, event, f"{_text(event)} came after revision {last}")
            last = max(last, event.revision)


def unique(stream: Stream) -> Iterator[Violation]:
    """No event comes twice, also not after a resume."""
    seen: set[tuple[str, int]] = set()
    for leg in stream:
        for event in leg.events:
            name = event.kv.key, event.revision
            if name in seen:
                yield _violation("unique", leg, event, f"{_text(event)} came twice")
            seen.add(name)


def atomic(stream: Stream) -> Iterator[Violation]:
    """The events of one revision come in one response, or in fragments of one."""
    for leg in stream:
        finished = 0
        for response in leg.responses:
            for event in response.events:
                if event.revision == finished:
                    text = f"revision {finished} was split: {_text(event)} came in a later response"
                    yield _violation("atomic", leg, event, text)
            if response.events and not response.fragment:
                finished = response.events[-1].revision


# Judged against the revisions as they were.


def expected(watch: Watch, model: Model, first: int, last: int) -> list[Event]:
    """What the watch has to be told of the revisions `first` to `last`, both included."""
    found = []
    for revision in range(max(first, model.first_revision + 1), min(last, model.revision) + 1):
        for key, kv in model.changes_at(revision):
            kind = "NOPUT" if kv is not None else "NODELETE"
            if in_range(key, watch.key, watch.range_end) and kind not in watch.filters:
                event = kv if kv is not None else KeyValue(key=key, mod=revision)
                found.append(
                    Event("PUT" if kv is not None else "DELETE", event, model.get(key, revision - 1))
                )
    return found


def reliable(stream: Stream, model: Model) -> Iterator[Violation]:
    """Between the first and the last event of the stream none is missing, and none is made up."""
    events = [event for leg in stream for event in leg.events]
    if not events:
        return
    leg = stream[0]
    first, last = min(e.revision for e in events), max(e.revision for e in events)
    wanted = {(e.kv.key, e.revision): e for e in expected(leg.watch, model, first, last)}
    seen = {(e.kv.key, e.revision): e for e in events}
    for name, event in wanted.items():
        if name not in seen:
            yield _violation("reliable", leg, event, f"{_text(event)} is missing")
    for name, event in seen.items():
        if name not in wanted:
            yield _violation("reliable", leg, event, f"{_text(event)} is of no revision that was written")


def resumable(stream: Stream, model: Model) -> Iterator[Violation]:
    """A watch begins with the first event from its start revision on, and with none before it."""
    for leg in stream:
        events, start = leg.events, leg.start
        if start is None or not events:
            continue
        wanted = expected(leg.watch, model, start, events[0].revision)
        if wanted and wanted[0].revision < events[0].revision:
            text = f"asked for revision {start} on: {_text(wanted[0])} is missing, the first was {_text(events[0])}"
            yield _violation("resumable", leg, wanted[0], text)
        for event in events:
            if event.revision < start:
                text = f"asked for revision {start} on, but {_text(event)} came"
                yield _violation("resumable", leg, event, text)


def bookmarkable(stream: Stream, model: Model) -> Iterator[Violation]:
    """A progress notification says that everything up to its revision has come."""
    for leg in stream:
        seen: set[tuple[str, int]] = set()
        told = 0
        for response in leg.responses:
            for event in response.events:
                seen.add((event.kv.key, event.revision))
                if event.revision <= told:
                    text = f"{_text(event)} came after a notification of revision {told}"
                    yield _violation("bookmarkable", leg, event, text)
            if response.is_progress:
                yield from _bookmark(leg, response, model, seen, told)
                told = max(told, response.revision)


def _bookmark(
    leg: Leg, response: Watched, model: Model, seen: set[tuple[str, int]], told: int
) -> Iterator[Violation]:
    revision, start = response.revision, leg.start
    if revision < told:
        text = f"notified of revision {revision} after {told}"
        yield Violation("bookmarkable", leg.watch.watch, revision, text)
    if start is None:
        return
    for event in expected(leg.watch, model, max(start, told + 1), revision):
        if (event.kv.key, event.revision) not in seen:
            text = f"notified of revision {revision}, but {_text(event)} had not come"
            yield _violation("bookmarkable", leg, event, text)


def content(stream: Stream, model: Model) -> Iterator[Violation]:
    """Key, value, lease, create revision and version are those of the revision: created and modified can be told."""
    for leg, event, want in _paired(stream, model):
        if event.type != want.type:
            text = f"revision {event.revision} of {event.kv.key!r} was a {want.type}, told as {event.type}"
            yield _violation("content", leg, event, text)
        elif not same_kv(event.kv, want.kv):
            text = f"told {describe_kv(event.kv)}, written was {describe_kv(want.kv)}"
            yield _violation("content", leg, event, text)


def prev_kv(stream: Stream, model: Model) -> Iterator[Violation]:
    """The previous state of the key comes if it was asked for (and is not compacted), and is the right one."""
    for leg, event, want in _paired(stream, model):
        have = event.prev_kv
        if not leg.watch.prev_kv:
            if have is not None:
                yield _violation("prev_kv", leg, event, f"{_text(event)} came with what nobody asked for")
        elif have is None and event.revision <= model.compacted:
            continue
        elif (have is None) != (want.prev_kv is None) or (
            have and want.prev_kv and not same_kv(have, want.prev_kv)
        ):
            text = f"{_text(event)}: told it was {describe_kv(have)}, it was {describe_kv(want.prev_kv)}"
            yield _violation("prev_kv", leg, event, text)


def _paired(stream: Stream, model: Model) -> Iterator[tuple[Leg, Event, Event]]:
    """Events with what they should be; those of no written revision are left to `reliable`."""
    for leg in stream:
        for event in leg.events:
            revision = event.revision
            for want in expected(leg.watch, model, revision, revision):
                if want.kv.key == event.kv.key:
                    yield leg, event, want


ALONE: tuple[Callable[[Stream], Iterator[Violation]], ...] = (ordered, unique, atomic)
WITH_MODEL: tuple[Callable[[Stream, Model], Iterator[Violation]], ...] = (
    reliable,
    resumable,
    bookmarkable,
    content,
    prev_kv,
)


def _violation(rule: str, leg: Leg, event: Event, text: str) -> Violation:
    return Violation(rule, leg.watch.watch, event.revision, text)


def _text(event: Event) -> str:
    value = f" = {event.kv.value!r}" if event.type == "PUT" else ""
    return f"{event.type} {event.kv.key!r}{value} of revision {event.revision}"
