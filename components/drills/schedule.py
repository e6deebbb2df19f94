"""A drill's timeline with its choices made (P): the same seed makes the same choices.

Fed by `runner` with the drill and the seed. Who leads is only known when a step begins, so targets such as
`leader` stay names here; what is left to chance (which follower, which order) is drawn from the step's own dice.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from components.cluster.quantities import seconds
from components.drills.spec import Drill, Step


@dataclass(frozen=True)
class Planned:
    """`begin` and `length` in seconds from the beginning of the timeline; `seed` for the step's dice."""

    number: int
    step: Step
    begin: float
    length: float
    seed: int

    @property
    def kind(self) -> str:
        return str(self.step.__struct_config__.tag)

    def dice(self) -> random.Random:
        return random.Random(self.seed)


def plan(drill: Drill, seed: int) -> list[Planned]:
    """The steps by their beginning."""
    dice = random.Random(seed)
    found = [
        Planned(number, step, seconds(step.at), seconds(step.lasts), dice.getrandbits(32))
        for number, step in enumerate(drill.timeline)
    ]
    return sorted(found, key=lambda planned: planned.begin)


def choose(target: str, names: Sequence[str], leader: str, dice: random.Random) -> str:
    """A store target as a name. `leader` may be empty: then anyone. Raises LookupError for a name there is not."""
    others = [name for name in names if name != leader]
    if target == "leader":
        return leader or dice.choice(list(names))
    if target == "follower":
        return dice.choice(others or list(names))
    if target not in names:
        raise LookupError(f"there is no process {target!r}; there are {', '.join(names)}")
    return target


def links(names: Sequence[str], alone: str, direction: str) -> list[tuple[str, str]]:
    """The links (from, to) that a partition cuts; `alone` empty: all of them."""
    pairs = [(a, b) for a in names for b in names if a != b]
    if not alone:
        return pairs
    away = [pair for pair in pairs if pair[0] == alone]
    towards = [pair for pair in pairs if pair[1] == alone]
    return {"both": away + towards, "out": away, "in": towards}[direction]
