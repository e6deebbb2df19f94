"""Who syncs on the event loop: only where the disk is quick, and never so many that a leader could be lost by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.raft.pace import QUICK_SECONDS, QUICK_SYNCS, SMALL_BYTES, Pace

VOTERS = frozenset({1, 2, 3})


def quick(member: int, syncs: int = QUICK_SYNCS) -> Pace:
    pace = Pace(member)
    for _ in range(syncs):
        pace.observe(QUICK_SECONDS / 2)
    return pace


@given(st.sets(st.integers(1, 99), min_size=1, max_size=9), st.data())
def test_leader_and_free_loops_are_a_majority(voters: set[int], data: st.DataObject) -> None:
    leader = data.draw(st.sampled_from(sorted(voters)))
    stopping = {id_ for id_ in voters if quick(id_).may_stop_the_loop(leader, voters, 1)}
    assert leader not in stopping
    assert len(voters - stopping) > len(voters) // 2


def test_one_of_two_followers_does_it() -> None:
    found = [quick(id_).may_stop_the_loop(2, VOTERS, SMALL_BYTES) for id_ in (1, 2, 3)]
    assert found == [True, False, False]


@pytest.mark.parametrize(
    ("pace", "leader", "size"),
    [
        (quick(1, QUICK_SYNCS - 1), 2, 1),
        (quick(1), None, 1),
        (quick(1), 1, 1),
        (quick(1), 2, SMALL_BYTES + 1),
        (quick(9), 2, 1),  # a learner
    ],
)
def test_when_it_is_left_to_the_thread(pace: Pace, leader: int | None, size: int) -> None:
    assert not pace.may_stop_the_loop(leader, VOTERS, size)


def test_one_slow_sync_ends_it_until_the_disk_has_shown_itself_again() -> None:
    pace = quick(1)
    pace.observe(QUICK_SECONDS)
    for _ in range(QUICK_SYNCS):
        assert not pace.may_stop_the_loop(2, VOTERS, 1)
        pace.observe(0.0)
    assert pace.may_stop_the_loop(2, VOTERS, 1)
