"""Seeded histories of a faulty cluster. A failure prints its seed: `RAFT_SEED=n pytest tests/simulation`."""

from __future__ import annotations

import os

import pytest

from tests.simulation.scenario import play

SEEDS_A_TEST = 50
FIRST = int(os.environ.get("RAFT_SEED", "0"))
COUNT = int(os.environ.get("RAFT_SEEDS", "1" if "RAFT_SEED" in os.environ else "500"))


@pytest.mark.parametrize("start", range(FIRST, FIRST + COUNT, SEEDS_A_TEST))
def test_random_faults_break_no_promise(start: int) -> None:
    acknowledged = reads = 0
    for seed in range(start, min(start + SEEDS_A_TEST, FIRST + COUNT)):
        try:
            world = play(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}; in short: python -m tests.simulation --transcript {seed}")
            raise
        acknowledged += len(world.clients.acknowledged)
        reads += world.clients.reads
    assert acknowledged > 20 * (COUNT if COUNT < SEEDS_A_TEST else SEEDS_A_TEST)
    assert reads > 0
