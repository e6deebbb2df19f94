"""A history across a restore is two histories (P): what came before the end of the old cluster, and after it.

A restored store goes on from the state that was saved, whatever was acknowledged later: that is what a restore
means, not a fault. So each era is judged alone. The second begins with the state at the backup's revision, as all
answers and events show it. What the second shows of that revision and before, the first must be able to explain:
it is put there as a read at the backup's revision. So a write of unknown outcome may have been saved, or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from components.drills.condense import shown, wrote
from kvstore.check.history import Call, Event, History, KeyValue, Put, Range, Result, Txn

NOBODY = -2
"""The client of what a restore shows."""


@dataclass(frozen=True)
class Break:
    """`time`: when the old cluster had certainly ended, in the recorder's clock. `revision`: the backup's."""

    time: int
    revision: int


@dataclass(frozen=True)
class Era:
    """`before`: what the store held when it began."""

    history: History
    before: tuple[KeyValue, ...] = ()


def split(history: History, at: Break | None) -> list[Era]:
    """One era, or two."""
    if at is None:
        return [Era(history)]
    first = _part(history, lambda time: time < at.time, lambda call: _before(call, at))
    second = _part(history, lambda time: time >= at.time, lambda call: _after(call, at))
    known = {watch.watch for watch in second.watches}
    second = msgspec.structs.replace(
        second,
        watches=tuple(
            watch if watch.resumes in known else msgspec.structs.replace(watch, resumes=None)
            for watch in second.watches
        ),
        watched=tuple(told for told in second.watched if told.watch in known),
    )
    first = msgspec.structs.replace(first, calls=(*first.calls, *_kept(second, at)))
    return [Era(first), Era(second, state_at(first, at.revision))]


def _kept(second: History, at: Break) -> Iterable[Call]:
    """One read at the backup's revision for each key of which the second era shows what was restored."""
    answered = msgspec.structs.replace(second, watches=(), watched=())
    for kv in state_at(answered, at.revision):
        request, result = Range(kv.key, revision=at.revision), Result(kvs=(kv,))
        yield Call(NOBODY, at.time, request, "ok", at.time + 1, result)


def _before(call: Call, at: Break) -> Call | None:
    """What was answered when the old cluster had ended was answered by the new one."""
    return call if call.call < at.time and not answered_after(call, at) else None


def _after(call: Call, at: Break) -> Call | None:
    """With the time from which on the new cluster can have done it. What nobody knows may be of both eras."""
    if call.call >= at.time:
        return call
    late = call.outcome == "unknown" and (call.returned is None or call.returned >= at.time)
    return msgspec.structs.replace(call, call=at.time) if late or answered_after(call, at) else None


def answered_after(call: Call, at: Break) -> bool:
    """Whether the new cluster has answered it; it may have been asked before there was one, and asked again."""
    return call.outcome == "ok" and call.returned is not None and call.returned >= at.time


def _part(history: History, holds: Callable[[int], bool], belongs: Callable[[Call], Call | None]) -> History:
    return History(
        calls=tuple(found for call in history.calls if (found := belongs(call)) is not None),
        watches=tuple(watch for watch in history.watches if holds(watch.time)),
        watched=tuple(told for told in history.watched if holds(told.time)),
    )


def state_at(history: History, revision: int) -> tuple[KeyValue, ...]:
    """Each key as it was at that revision, from the newest that answers and events show up to it."""
    found: dict[str, Event] = {}
    for event in _evidence(history):
        known = found.get(event.kv.key)
        if event.revision > revision or (known is not None and _fuller(known, event)):
            continue
        found[event.kv.key] = event
    return tuple(found[key].kv for key in sorted(found) if found[key].type == "PUT")


def _fuller(known: Event, other: Event) -> bool:
    """Whether `known` says at least as much: it is newer, or of the same revision with all its fields."""
    if known.revision != other.revision:
        return known.revision > other.revision
    return known.kv.version is not None or other.kv.version is None


def _evidence(history: History) -> Iterable[Event]:
    for told in history.watched:
        yield from told.events
    for call in history.calls:
        if call.result is None:
            continue
        for kv in shown(call.result):
            if kv.mod:
                yield Event("PUT", kv)
        yield from _written(call)


def _written(call: Call) -> Iterable[Event]:
    """What an acknowledged compare-and-swap wrote; its answer has the revision, its request the value."""
    if not wrote(call) or call.result is None or not isinstance(call.request, Txn):
        return
    for step in call.request.success if call.result.succeeded else call.request.failure:
        if isinstance(step, Put):
            yield Event("PUT", KeyValue(step.key, step.value, mod=call.result.revision))
