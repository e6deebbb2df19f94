"""A cluster in one thread and on one fake clock: real pysyncobj, guard, core, proposals, reads, journal, WAL, watches.

Only asyncio, sockets and disks are simulated. What happens to the cluster is a list of steps (`scenario.py`); the
rest that is random (delays, what a crash leaves) comes from one seeded generator, so a seed is a whole history.
`promises.py` says what is checked all the time, `check_end` what is checked when all is well again.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable

from kvstore.raft.config import Voting
from tests.simulation.clients import Clients
from tests.simulation.conditions import Conditions
from tests.simulation.machine import State
from tests.simulation.member import Member
from tests.simulation.network import Network
from tests.simulation.promises import Durable, Promises, Violation
from tests.simulation.watches import Ledger, watch

REMEMBERED = 120


class World:
    def __init__(self, seed: int, conditions: Conditions) -> None:
        self.rng = random.Random(seed)
        self.conditions = conditions
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self.events: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)
        self.promises = Promises()
        self.ledger = Ledger()
        self.network = Network(self)
        self.clients = Clients(self)
        numbers = range(1, conditions.size + 1)
        founders = Voting(frozenset(numbers))
        self.members = {number: Member(self, number, founders) for number in numbers}
        for member in self.members.values():
            member.start()
        self.watches = watch(self, seed)

    # Time.

    def later(self, delay: float, step: Callable[[], object]) -> None:
        self.at(self.now + delay, step)

    def at(self, time: float, step: Callable[[], object]) -> None:
        heapq.heappush(self._queue, (time, next(self._order), step))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, step = heapq.heappop(self._queue)
            step()
        self.now = end

    def log(self, text: str) -> None:
        self.events.append((self.now, text))

    # Members.

    def pick(self, at: float) -> Member:
        """One of those that are members of the cluster, by a number in 0..1."""
        present = [member for member in self.members.values() if not member.gone]
        return present[int(at * len(present))]

    def crash(self, number: int, why: str = "loses power") -> None:
        for other in self.members:
            if other != number:
                self.network.drop(number, other)
        self.members[number].crash(why)

    def disks(self) -> dict[int, Durable]:
        return {number: member.disk for number, member in self.members.items()}

    def newest(self) -> Member:
        """The running member that has applied most. Raises ValueError if none runs."""
        return max((m for m in self.members.values() if m.alive), key=lambda m: m.machine.state.at)

    def state(self) -> State:
        """The newest that any running member has."""
        return max(
            (m.machine.state for m in self.members.values() if m.alive), key=lambda s: s.at, default=State()
        )

    def ask_members(self, number: int) -> Voting | None:
        """What a joining member is told, if anybody knows it."""
        for member in self.members.values():
            voting = member.machine.voting() if member.alive else None
            if voting is not None and number in voting.voters | voting.learners:
                return voting
        return None

    def start_added(self) -> None:
        """Start the processes of members that were added and have none."""
        voting = self.state().voting
        if voting is None:
            return
        for number in sorted(voting.voters | voting.learners):
            if number not in self.members:
                self.members[number] = Member(self, number, None)
            if not self.members[number].alive and self.members[number].life == 0:
                self.members[number].start()

    def heal(self) -> None:
        for member in list(self.members.values()):
            member.files.full = False
            if not member.alive:
                member.start()
        self.start_added()
        self.network.mend_all()

    # The end.

    def check_end(self) -> None:
        """After healing and time to settle: everything agrees, nothing is lost or done twice, nobody waits."""
        state = self.state()
        assert state.voting is not None
        for number in sorted(state.voting.voters | state.voting.learners):
            member = self.members[number]
            if not member.alive or member.machine.state != state:
                raise Violation(
                    f"member {number} is at {member.machine.applied()} in the end, not at {state.at}"
                )
        commands = set(state.commands)
        if len(commands) != len(state.commands):
            raise Violation("a command was applied twice")
        if lost := self.clients.acknowledged.keys() - commands:
            raise Violation(f"acknowledged writes are lost: {sorted(lost)[:5]}")
        if done := self.clients.refused & commands:
            raise Violation(f"what was refused for want of a leader was done: {sorted(done)[:5]}")
        if hanging := self.clients.hanging():
            raise Violation(f"calls that never ended: {hanging[:5]}")
        for client in self.watches:
            client.finish()
