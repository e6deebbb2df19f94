"""Others' revisions counted out of a history: what was right stays right, what was wrong stays wrong."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from components.drills.condense import condense, own_revisions
from kvstore.check.history import History, KeyValue
from kvstore.check.verdict import check
from tests.unit.components.drills.histories import everything, history, read, refused, swap, told, watch

SHARED = history(
    watch(1, 0, 51),
    swap(1, 2, "d-k0", 0, "1-1", 90),
    told(1, 3, "d-k0", "1-1", 90),
    swap(3, 4, "d-k0", 90, "1-2", 94),
    told(1, 5, "d-k0", "1-2", 94),
    refused(5, 6, "d-k0", 90, "2-1"),
    swap(6, 7, "d-k1", 0, "1-3", 120),
    told(1, 8, "d-k1", "1-3", 120),
    everything(8, 9, 125, k0=("1-2", 94), k1=("1-3", 120)),
)


def test_revisions_of_others_are_counted_out() -> None:
    found = condense(SHARED)
    assert own_revisions(SHARED) == {90, 94, 120}
    assert [call.result.revision for call in found.calls if call.result] == [2, 3, None, 4, 4]
    assert [told.events[0].kv.mod for told in found.watched] == [2, 3, 4]
    assert found.watches[0].start_revision == 2
    assert check(found).passed


def test_a_stale_read_is_still_one() -> None:
    stale = history(*SHARED.calls, read(20, 21, "d-k0", "1-1", 90))
    assert check(condense(stale)).linearizable is False


def test_a_watch_that_leaves_out_an_event_is_still_wrong() -> None:
    fewer = History(SHARED.calls, SHARED.watches, (SHARED.watched[0], SHARED.watched[2]))
    assert [found.rule for found in check(condense(fewer)).violations] == ["reliable"]


def test_what_was_stored_before_is_where_a_history_begins() -> None:
    later = history(read(1, 2, "d-k0", "old", 7), swap(3, 4, "d-k0", 7, "new", 1_000_000_020))
    assert check(condense(later, [KeyValue("d-k0", "old", mod=7)])).passed
    assert check(condense(later, [KeyValue("d-k0", "other", mod=7)])).linearizable is False


def test_a_revision_of_nowhere_is_that_of_no_key() -> None:
    """As a client has it that saw what a restore has undone."""
    later = history(
        read(1, 2, "d-k0", "old", 7),
        refused(3, 4, "d-k0", 40, "mine"),
        swap(5, 6, "d-k0", 7, "new", 1_000_000_020),
    )
    assert check(condense(later, [KeyValue("d-k0", "old", mod=7)])).passed


@given(st.integers(0, 10_000), st.booleans())
def test_a_run_of_one_client_after_another_is_judged_as_without_others(seed: int, lie: bool) -> None:
    """The twin: the same calls with revisions without gaps, which need no condensing."""
    dice = random.Random(seed)
    dense, sparse = _twins(dice, lie)
    assert check(condense(sparse)).passed == check(dense).passed == (not lie)


def _twins(dice: random.Random, lie: bool) -> tuple[History, History]:
    state: dict[str, tuple[str, int, int]] = {}
    dense_calls, sparse_calls = [], []
    dense, sparse, time = 1, dice.randrange(5, 50), 0
    for number in range(12):
        key = f"d-k{dice.randrange(3)}"
        value, mod, far = state.get(key, ("", 0, 0))
        time += 2
        if dice.random() < 0.5:
            shown = value or None
            dense_calls.append(read(time, time + 1, key, shown, mod))
            sparse_calls.append(read(time, time + 1, key, shown, far))
        else:
            dense, sparse = dense + 1, sparse + dice.randrange(1, 9)
            dense_calls.append(swap(time, time + 1, key, mod, str(number), dense))
            sparse_calls.append(swap(time, time + 1, key, far, str(number), sparse))
            state[key] = (str(number), dense, sparse)
    if lie:
        dense_calls.append(read(time + 5, time + 6, "d-k0", "never written", 1))
        sparse_calls.append(read(time + 5, time + 6, "d-k0", "never written", 1))
    return history(*dense_calls), history(*sparse_calls)
