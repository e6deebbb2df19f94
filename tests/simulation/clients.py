"""Clients of a simulated cluster: writes, reads and changes of members, tried again elsewhere if they fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvstore.errors import NoLeader
from tests.simulation.machine import change
from tests.simulation.promises import Violation

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

PATIENCE = 2.0
TRIES = 3


class Future:
    """As much of asyncio's as proposals and reads need."""

    def __init__(self, then: Callable[[Any], None], failed: Callable[[BaseException], None]) -> None:
        self._then, self._failed, self._done = then, failed, False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Any) -> None:
        self._done = True
        self._then(result)

    def set_exception(self, error: BaseException) -> None:
        self._done = True
        self._failed(error)


@dataclass(eq=False)
class Call:
    """It also ends when its member does: then the connection is gone."""

    what: str
    member: Member
    life: int
    done: bool = False

    @property
    def hangs(self) -> bool:
        return not self.done and self.member.alive and self.member.life == self.life


class Clients:
    """`acknowledged`: command -> index. `refused`: commands that were certainly not done."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self._calls: list[Call] = []
        self.acknowledged: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.reads = 0
        self._last = 0

    def write(self, member: Member, tries: int = TRIES) -> None:
        self._propose(
            member, b"write %d" % next(self._numbers), lambda other: self.write(other, tries - 1), tries
        )

    def change(self, member: Member, kind: str, subject: int) -> None:
        """Not tried again: whoever changes members looks first what became of it."""
        self._propose(member, change(kind, subject, next(self._numbers)), None, 1, is_change=True)

    def read(self, member: Member) -> None:
        if not member.alive:
            return
        needed = self._last
        call = self._begin("a read", member)

        def answered(index: int) -> None:
            call.done = True
            self.reads += 1
            if index < needed:
                raise Violation(f"a read at {index} misses the acknowledged write at {needed}")

        member.when_awake(lambda: member.read(Future(answered, lambda _: _end(call))))

    def hanging(self) -> list[str]:
        return [call.what for call in self._calls if call.hangs]

    def _propose(
        self,
        member: Member,
        command: bytes,
        again: Callable[[Member], None] | None,
        tries: int,
        *,
        is_change: bool = False,
    ) -> None:
        if not member.alive or tries == 0:
            return
        call = self._begin(command.decode(), member)

        def acknowledged(index: int) -> None:
            call.done = True
            self.acknowledged[command] = index
            self._last = max(self._last, index)

        def failed(error: BaseException) -> None:
            call.done = True
            if isinstance(error, NoLeader):
                self.refused.add(command)
            if again is not None:
                self._world.later(0.01, lambda: again(self._world.pick(self._world.rng.random())))

        future = Future(acknowledged, failed)
        member.when_awake(lambda: member.propose(command, future, PATIENCE, change=is_change))

    def _begin(self, what: str, member: Member) -> Call:
        call = Call(what, member, member.life)
        self._calls.append(call)
        return call


def _end(call: Call) -> None:
    call.done = True
