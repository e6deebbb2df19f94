"""Connections between simulated members: FIFO in each direction; what is on the wire is lost with the connection.

In a `late` network, Raft's messages of an earlier connection may arrive again on a later one, and connections like to
break when an answer has arrived: worse than the real transport allows, but what the guard closes must hold there, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvstore.raft.messages import APPEND, APPEND_REPLY, READ_ACK, VOTE, VOTE_REPLY, Message

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

MAY_COME_AGAIN = (APPEND, APPEND_REPLY, VOTE, VOTE_REPLY, READ_ACK)
KEPT = 100
REMEMBERED = 0.5
AGAIN = 0.2
BREAKS = {VOTE_REPLY: 0.3, APPEND_REPLY: 0.01}
"""How often a late network's connection breaks after such a message."""


class Network:
    def __init__(self, world: World) -> None:
        self._world = world
        self._links: set[frozenset[int]] = set()
        self._cut: set[frozenset[int]] = set()
        self._epochs: dict[frozenset[int], int] = {}
        self._arrival: dict[tuple[int, int], float] = {}
        self._late: dict[tuple[int, int], list[Message]] | None = {} if world.conditions.late else None

    def linked(self, a: int, b: int) -> bool:
        return frozenset((a, b)) in self._links

    # Faults.

    def cut(self, a: int, b: int) -> None:
        """Until it is mended."""
        self._cut.add(frozenset((a, b)))
        self.drop(a, b)

    def mend(self, a: int, b: int) -> None:
        self._cut.discard(frozenset((a, b)))
        self.connect(a, b)

    def mend_all(self) -> None:
        self._cut.clear()
        for number in sorted(self._world.members):
            self.connect_all(number)

    def flap(self, a: int, b: int) -> None:
        """The connection breaks and is made again at once."""
        if self.linked(a, b):
            self.drop(a, b)
            self.connect(a, b)

    def stall(self, source: int, target: int, seconds: float) -> None:
        """One direction of a connection hangs: everything on it arrives late, in order."""
        last = self._arrival.get((source, target), 0.0)
        self._arrival[source, target] = max(last, self._world.now + seconds)

    # Connections.

    def connect_all(self, number: int) -> None:
        for other in sorted(self._world.members):
            if other != number:
                self.connect(number, other)

    def connect(self, a: int, b: int) -> None:
        """If nothing is in the way, and one knows the other. Who was removed is told so."""
        pair = frozenset((a, b))
        first, second = self._world.members[a], self._world.members[b]
        if pair in self._links or pair in self._cut or not (first.alive and second.alive):
            return
        if not (first.knows(b) or second.knows(a)) or self._dismissed(first, second):
            return
        self._links.add(pair)
        self._epochs[pair] = self._epochs.get(pair, 0) + 1
        for own, peer in ((first, second), (second, first)):
            self._send_again(own.number, peer.number)
            own.when_awake(lambda own=own, peer=peer: own.connected(peer.number))  # type: ignore[misc]

    def drop(self, a: int, b: int) -> None:
        pair = frozenset((a, b))
        if pair not in self._links:
            return
        self._links.discard(pair)
        for own, peer in ((a, b), (b, a)):
            member = self._world.members[own]
            if member.alive:
                member.when_awake(lambda member=member, peer=peer: member.disconnected(peer))  # type: ignore[misc]

    def members_changed(self, number: int) -> None:
        """That member has another list of members now."""
        member = self._world.members[number]
        for other in sorted(self._world.members):
            if self.linked(number, other) and self._dismissed(member, self._world.members[other]):
                self.drop(number, other)
        if not member.core.is_removed:
            self.connect_all(number)

    @staticmethod
    def _dismissed(first: Member, second: Member) -> bool:
        """Whether one was removed, as the other knows and tells it."""
        found = False
        for own, peer in ((first, second), (second, first)):
            if peer.number in own.machine.state.removed:
                found = True
                peer.when_awake(lambda own=own, peer=peer: peer.dismissed(own.number))  # type: ignore[misc]
        return found

    # Messages.

    def send(self, source: int, target: int, message: Message) -> None:
        pair = frozenset((source, target))
        if pair not in self._links:
            return
        world, epoch = self._world, self._epochs[pair]
        delay = world.rng.random() * (0.3 if world.rng.random() < 0.02 else 0.01)
        # Never before what was sent earlier on the same connection.
        at = max(world.now + delay, self._arrival.get((source, target), 0.0) + 1e-6)
        self._arrival[source, target] = at
        copy = dict(message)
        if self._late is not None and message["type"] in MAY_COME_AGAIN and world.rng.random() < REMEMBERED:
            self._late.setdefault((source, target), []).append(copy)

        def arrive() -> None:
            if pair in self._links and self._epochs[pair] == epoch:
                world.members[target].receive(source, copy)
                if self._late is not None and world.rng.random() < BREAKS.get(copy["type"], 0.0):
                    self.flap(source, target)

        world.later(at - world.now, lambda: self._when_awake(target, arrive))
        again = world.conditions
        if again.repeats and message["type"] in MAY_COME_AGAIN and world.rng.random() < again.repeats:
            delay = world.rng.random() * again.repeats_within
            world.later(delay, lambda: self._arrive_again(source, target, copy))

    def _when_awake(self, target: int, arrive: object) -> None:
        member = self._world.members[target]
        if member.alive:
            member.when_awake(arrive)  # type: ignore[arg-type]

    def _send_again(self, source: int, target: int) -> None:
        """What earlier connections carried, on a new one."""
        late = self._late.get((source, target), []) if self._late is not None else []
        del late[:-KEPT]
        for message in late:
            if self._world.rng.random() < AGAIN:
                delay = self._world.rng.random() ** 3 * 0.3
                self._world.later(delay, lambda m=message: self._arrive_again(source, target, m))  # type: ignore[misc]

    def _arrive_again(self, source: int, target: int, message: Message) -> None:
        if self.linked(source, target):
            self._when_awake(target, lambda: self._world.members[target].receive(source, message))
