"""Seeded histories of a faulty cluster. A failure prints its seed: `RAFT_SEED=n pytest tests/simulation`."""

from __future__ import annotations

import os

import pytest

from tests.simulation.conditions import CHANGING, SPLIT, Conditions
from tests.simulation.scenario import clock_of, play
from tests.simulation.world import World

SEEDS_A_TEST = 50
FIRST = int(os.environ.get("RAFT_SEED", "0"))
COUNT = int(os.environ.get("RAFT_SEEDS", "1" if "RAFT_SEED" in os.environ else "500"))


HARD = (SPLIT, CHANGING) if COUNT >= SEEDS_A_TEST else ()


@pytest.mark.parametrize("start", [*range(FIRST, FIRST + COUNT, SEEDS_A_TEST), *HARD])
def test_random_faults_break_no_promise(start: int) -> None:
    acknowledged = reads = 0
    seeds = min(SEEDS_A_TEST, COUNT)
    for seed in range(start, start + seeds):
        try:
            world = play(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}; in short: python -m tests.simulation --transcript {seed}")
            raise
        acknowledged += len(world.clients.acknowledged)
        reads += world.clients.reads
    assert acknowledged > 20 * seeds
    assert reads > 0


def test_a_removed_leader_stays_until_another_knows_that_its_removal_is_committed() -> None:
    """The other of two hangs from the moment of the commit on, for longer than any timeout."""
    worlds: list[World] = []
    with clock_of(worlds):
        world = World(1, Conditions(2))
        worlds.append(world)
        world.run(1.5)
        leader, other = sorted(world.members.values(), key=lambda member: not member.core.node.is_leader)
        world.clients.change(leader, "remove", leader.number)
        while leader.number not in leader.machine.state.removed:
            world.run(0.001)
        other.pause(5.0)
        world.run(4.0)
        assert leader.alive
        world.run(6.0)
        assert leader.gone
        assert other.core.node.is_leader
