"""Seeded histories of a faulty cluster. A failure prints its seed: `RAFT_SEED=n pytest tests/simulation`."""

from __future__ import annotations

import os

import pysyncobj.syncobj as library
import pytest

from tests.simulation.world import World

SEEDS_A_TEST = 20
FIRST = int(os.environ.get("RAFT_SEED", "0"))
COUNT = int(os.environ.get("RAFT_SEEDS", "1" if "RAFT_SEED" in os.environ else "160"))


def run(seed: int, monkeypatch: pytest.MonkeyPatch, size: int) -> World:
    clock: list[World] = []
    monkeypatch.setattr(library, "monotonicTime", lambda: clock[0].now if clock else 0.0)
    world = World(seed, size)
    clock.append(world)
    world.run(1.5)
    for _ in range(60):
        for _ in range(world.rng.randint(0, 6)):
            world.write()
        for _ in range(3):
            world.read()
            world.run(world.rng.random() * 0.02)
        if world.rng.random() < 0.5:
            world.disturb()
        world.run(world.rng.random() * 0.1)
    world.heal()
    world.run(6.0)
    world.write()
    world.run(2.0)
    world.check_end()
    return world


@pytest.mark.parametrize("start", range(FIRST, FIRST + COUNT, SEEDS_A_TEST))
def test_random_faults_break_no_promise(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged = reads = 0
    for seed in range(start, min(start + SEEDS_A_TEST, FIRST + COUNT)):
        try:
            world = run(seed, monkeypatch, size=5 if seed % 5 == 4 else 3)
        except BaseException as error:
            error.add_note(f"seed {seed}: run it alone with RAFT_SEED={seed}")
            raise
        acknowledged += len(world.acknowledged)
        reads += world.reads
    assert acknowledged > 20 * (COUNT if COUNT < SEEDS_A_TEST else SEEDS_A_TEST)
    assert reads > 0
