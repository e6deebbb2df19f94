"""What happens to a cluster: a list of steps made from a seed, then peace, then the last checks.

A step is (name, *numbers in 0..1); `Steps` has a method for each name. Steps do not depend on what the cluster does, so
some of them can be left out: `shrink` looks for few that still break a promise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pysyncobj.syncobj as library

from tests.simulation.clients import PATIENCE
from tests.simulation.conditions import of
from tests.simulation.member import SWEEP_TICKS, TICK
from tests.simulation.watches import small_slices
from tests.simulation.world import World

Step = tuple[str | float, ...]
ROUNDS = 60
MAX_MEMBERS = 7
FAULTS = {
    "lose_power": 0.12,
    "lose_power_while_writing": 0.08,
    "all_lose_power": 0.07,
    "start": 0.2,
    "cut": 0.13,
    "isolate": 0.07,
    "mend": 0.17,
    "flap": 0.15,
    "stall": 0.13,
    "pause": 0.08,
    "pause_leader": 0.04,
    "slow_disk": 0.04,
    "full_disk": 0.03,
    "transfer": 0.05,
    "add": 0.02,
    "learn": 0.02,
    "promote": 0.03,
    "remove": 0.03,
}
SPLITS = {"split": 0.15, "mend_all": 0.15}
CHANGES = ("add", "learn", "promote", "remove")


def plan(seed: int) -> list[Step]:
    rng, conditions = random.Random(-seed - 1), of(seed)
    known = FAULTS | SPLITS if conditions.splits else FAULTS
    faults = list(known)
    weights = [weight * (conditions.changes if name in CHANGES else 1.0) for name, weight in known.items()]
    steps: list[Step] = []
    for _ in range(ROUNDS):
        steps += [("write", rng.random()) for _ in range(rng.randint(0, 6))]
        for _ in range(3):
            steps += [("read", rng.random()), ("run", rng.random() * 0.02)]
        if rng.random() < 0.5:
            steps.append((rng.choices(faults, weights)[0], rng.random(), rng.random(), rng.random()))
        steps.append(("run", rng.random() * 0.1))
    return steps


def play(seed: int, steps: Sequence[Step] | None = None) -> World:
    """Raises `Violation`."""
    worlds: list[World] = []
    with clock_of(worlds), small_slices():
        world = World(seed, of(seed))
        worlds.append(world)
        try:
            _play(world, plan(seed) if steps is None else steps)
        except Exception as error:
            error.add_note("\n".join(f"{at:8.3f}  {text}" for at, text in world.events))
            raise
    return world


def shrink(seed: int) -> list[Step]:
    """A part of the seed's steps that breaks a promise, none of which can be left out alone."""
    steps, size = plan(seed), ROUNDS
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size :]
            if _breaks(seed, fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


def _breaks(seed: int, steps: Sequence[Step]) -> bool:
    try:
        play(seed, steps)
    except Exception:  # a broken promise, or what a member without it stumbles over
        return True
    return False


def _play(world: World, steps: Sequence[Step]) -> None:
    actions = Steps(world)
    world.run(1.5)
    for name, *numbers in steps:
        getattr(actions, str(name))(*numbers)
    for seconds in (3.0, 3.0, 2.0):
        world.heal()  # some members may have been added since
        world.run(seconds)
    world.clients.write(world.pick(0.0))
    world.run(
        PATIENCE + SWEEP_TICKS * 2 * TICK
    )  # by then it has ended, also on a removed member that nobody told
    world.check_end()


class Steps:
    """`at` and `other` choose members, `size` says how much."""

    def __init__(self, world: World) -> None:
        self._world, self._network = world, world.network
        self._next_member = len(world.members) + 1

    def run(self, seconds: float) -> None:
        self._world.run(seconds)

    def write(self, at: float) -> None:
        for _ in range(self._world.conditions.writes):
            self._world.clients.write(self._world.pick(at))

    def read(self, at: float) -> None:
        self._world.clients.read(self._world.pick(at))

    def lose_power(self, at: float, _other: float, _size: float) -> None:
        member = self._world.pick(at)
        if member.alive:
            self._world.crash(member.number)

    def lose_power_while_writing(self, at: float, _other: float, _size: float) -> None:
        busy = [member.number for member in self._world.members.values() if member.alive and member.busy]
        if busy:
            self._world.crash(busy[int(at * len(busy))])

    def all_lose_power(self, *_: float) -> None:
        for member in self._world.members.values():
            if member.alive:
                self._world.crash(member.number)

    def start(self, at: float, _other: float, _size: float) -> None:
        """One that does not run; else those that were added."""
        down = [member for member in self._world.members.values() if not (member.alive or member.gone)]
        if down:
            down[int(at * len(down))].start()
        self._world.start_added()

    def cut(self, at: float, other: float, _size: float) -> None:
        self._pair(at, other, self._network.cut)

    def mend(self, at: float, other: float, _size: float) -> None:
        self._pair(at, other, self._network.mend)

    def isolate(self, at: float, _other: float, _size: float) -> None:
        number = self._world.pick(at).number
        for peer in self._world.members:
            if peer != number:
                self._network.cut(number, peer)

    def split(self, at: float, other: float, _size: float) -> None:
        """Into two groups that do not hear each other."""
        present = sorted(member.number for member in self._world.members.values() if not member.gone)
        first, group = int(at * len(present)), 1 + int(other * (len(present) - 1))
        turned = present[first:] + present[:first]
        self._world.log(f"{turned[:group]} and {turned[group:]} are split")
        for a in turned[:group]:
            for b in turned[group:]:
                self._network.cut(a, b)

    def mend_all(self, *_: float) -> None:
        self._network.mend_all()

    def flap(self, at: float, other: float, _size: float) -> None:
        self._pair(at, other, self._network.flap)

    def stall(self, at: float, other: float, size: float) -> None:
        self._pair(at, other, lambda a, b: self._network.stall(a, b, size * 1.5))

    def pause(self, at: float, _other: float, size: float) -> None:
        self._world.log(f"{self._world.pick(at).number} is paused")
        self._world.pick(at).pause(size * 2.0)

    def pause_leader(self, _at: float, _other: float, size: float) -> None:
        """Long enough for another to be elected."""
        for member in self._world.members.values():
            if member.alive and member.core.node.is_leader:
                self._world.log(f"{member.number}, the leader, is paused")
                member.pause(0.5 + size * 2.0)

    def slow_disk(self, at: float, _other: float, size: float) -> None:
        self._world.pick(at).slow_until = self._world.now + size * 3.0

    def full_disk(self, at: float, _other: float, _size: float) -> None:
        """Until the member, which ends, is started again."""
        self._world.pick(at).files.full = True

    def transfer(self, at: float, _other: float, _size: float) -> None:
        node = member.core.node if (member := self._world.pick(at)).alive else None
        if node is not None and node.is_leader and (targets := sorted(node.connected & node.voters)):
            node.transfer_to(targets[0])

    def add(self, at: float, _other: float, _size: float) -> None:
        self._new_member(at, "add")

    def learn(self, at: float, _other: float, _size: float) -> None:
        self._new_member(at, "learn")

    def promote(self, at: float, _other: float, _size: float) -> None:
        voting = self._world.state().voting
        for learner in sorted(voting.learners if voting is not None else ()):
            self._world.clients.change(self._world.pick(at), "promote", learner)

    def remove(self, at: float, other: float, _size: float) -> None:
        self._world.clients.change(self._world.pick(at), "remove", self._world.pick(other).number)

    def _new_member(self, at: float, kind: str) -> None:
        if sum(not member.gone for member in self._world.members.values()) < MAX_MEMBERS:
            self._world.clients.change(self._world.pick(at), kind, self._next_member)
            self._next_member += 1

    def _pair(self, at: float, other: float, action: Callable[[int, int], None]) -> None:
        a, b = self._world.pick(at).number, self._world.pick(other).number
        if a != b:
            action(a, b)


@contextmanager
def clock_of(worlds: Sequence[World]) -> Iterator[None]:
    """The library's clock is that of the first world, as soon as there is one."""
    before = library.monotonicTime
    library.monotonicTime = lambda: worlds[0].now if worlds else 0.0
    try:
        yield
    finally:
        library.monotonicTime = before
