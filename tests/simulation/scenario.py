"""One seed: a cluster, clients and faults, then peace, then the last checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pysyncobj.syncobj as library

from tests.simulation.world import World


def play(seed: int) -> World:
    """Raises `Violation`. Every fifth seed has five members, every third a network that repeats itself."""
    clock: list[World] = []
    with _clock(lambda: clock[0].now if clock else 0.0):
        world = World(seed, 5 if seed % 5 == 4 else 3, late=seed % 3 == 1)
        clock.append(world)
        world.run(1.5)
        for _ in range(60):
            _step(world)
        world.heal()
        world.run(6.0)
        world.write()
        world.run(2.0)
        world.check_end()
    return world


def _step(world: World) -> None:
    for _ in range(world.rng.randint(0, 6)):
        world.write()
    for _ in range(3):
        world.read()
        world.run(world.rng.random() * 0.02)
    if world.rng.random() < 0.5:
        world.disturb()
    world.run(world.rng.random() * 0.1)


@contextmanager
def _clock(read: object) -> Iterator[None]:
    before = library.monotonicTime
    library.monotonicTime = read
    try:
        yield
    finally:
        library.monotonicTime = before
