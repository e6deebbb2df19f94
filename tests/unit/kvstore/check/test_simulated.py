"""Histories of a store that is right by construction pass; with one answer changed they fail."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.check.history import Call, History, KeyValue, Put, Range, Result, Watched, collect
from kvstore.check.report import report
from kvstore.check.verdict import check
from tests.unit.kvstore.check.store import Simulation

replace = msgspec.structs.replace


def simulate(seed: int, calls: int = 50, *, revisions: bool = True, lost: float = 0.1) -> History:
    store = Simulation(seed, revisions=revisions, lost=lost)
    store.run(calls)
    if revisions:
        store.watch(1, "a", "\0")
        store.watch(2, "b", "d", prev_kv=False)
    return collect(store.records)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.booleans())
def test_a_right_store_passes(seed: int, revisions: bool) -> None:
    verdict = check(simulate(seed, revisions=revisions))
    assert verdict.passed, report(verdict)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30))
def test_one_wrong_read_fails(seed: int) -> None:
    """A value nobody wrote, or a revision the key never had, in any answer that shows a key."""
    history = simulate(seed)
    rng = random.Random(seed)
    shown = [
        i for i, c in enumerate(history.calls) if isinstance(c.request, Range) and c.result and c.result.kvs
    ]
    if not shown:
        return
    index = rng.choice(shown)
    call = history.calls[index]
    assert call.result
    assert call.result.kvs
    kv = call.result.kvs[0]
    wrong = rng.choice(
        (
            replace(kv, value="never written"),
            replace(kv, mod=(kv.mod or 0) - 1),
            replace(kv, create=(kv.create or 0) + 1),
            replace(kv, version=(kv.version or 0) + 1),
        )
    )
    changed = replace(call, result=replace(call.result, kvs=(wrong, *call.result.kvs[1:])))
    calls = (*history.calls[:index], changed, *history.calls[index + 1 :])
    verdict = check(replace(history, calls=calls))
    assert verdict.linearizable is False
    assert verdict.window is not None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30))
def test_one_wrong_revision_of_a_write_fails(seed: int) -> None:
    history = simulate(seed)
    written = [i for i, c in enumerate(history.calls) if isinstance(c.request, Put) and c.outcome == "ok"]
    if not written:
        return
    index = random.Random(seed).choice(written)
    call = history.calls[index]
    assert call.result
    changed = replace(call, result=replace(call.result, revision=(call.result.revision or 0) + 1))
    calls = (*history.calls[:index], changed, *history.calls[index + 1 :])
    assert not check(replace(history, calls=calls)).passed


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_lost_write_that_was_acknowledged_fails(seed: int) -> None:
    """Without revisions: the last read of a key shows what was there before an acknowledged put."""
    store = Simulation(seed, revisions=False, lost=0.0)
    store.run(30)
    end = store.now + 100
    store.records += [
        Call(1, end, Put("a", "first"), "ok", end + 1),
        Call(2, end + 2, Put("a", "second"), "ok", end + 3),
        Call(1, end + 4, Range("a"), "ok", end + 5, result=_shows("first")),
    ]
    assert check(collect(store.records)).linearizable is False
    store.records[-1] = Call(1, end + 4, Range("a"), "ok", end + 5, result=_shows("second"))
    assert check(collect(store.records)).passed


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(("drop", "twice", "swap", "value", "version", "prev")))
def test_one_wrong_watch_event_fails(seed: int, damage: str) -> None:
    history = simulate(seed)
    assert check(history).passed
    watched = _damaged(history.watched, damage, random.Random(seed))
    if watched is not None:
        assert check(replace(history, watched=watched)).violations


def _shows(value: str) -> Result:
    return Result(kvs=(KeyValue("a", value),))


def _damaged(watched: tuple[Watched, ...], damage: str, rng: random.Random) -> tuple[Watched, ...] | None:
    """One event of the watch of all keys changed; None where there is no event the damage would show on."""
    mine = [i for i, r in enumerate(watched) if r.watch in (1, 1001) and r.events]
    if not mine:
        return None
    index = rng.choice(mine)
    events = list(watched[index].events)
    at = rng.randrange(len(events))
    event = events[at]
    if damage == "drop":
        del events[at]
    elif damage == "twice":
        events.insert(at, event)
    elif damage == "swap":
        if events[0].revision == events[-1].revision:
            return None
        events.reverse()
    elif damage == "value" and event.type == "PUT":
        events[at] = replace(event, kv=replace(event.kv, value="never written"))
    elif damage == "version" and event.type == "PUT":
        events[at] = replace(event, kv=replace(event.kv, version=(event.kv.version or 0) + 1))
    elif damage == "prev" and event.prev_kv is not None:
        events[at] = replace(event, prev_kv=replace(event.prev_kv, value="never written"))
    else:
        return None
    if damage == "drop" and not _surrounded(watched, event.revision):
        return None
    return (*watched[:index], replace(watched[index], events=tuple(events)), *watched[index + 1 :])


def _surrounded(watched: tuple[Watched, ...], revision: int) -> bool:
    """True if the stream shows events on both sides of `revision`, or a notification beyond it."""
    mine = [r for r in watched if r.watch in (1, 1001)]
    told = [e.revision for r in mine for e in r.events]
    return min(told) < revision < max(told)
