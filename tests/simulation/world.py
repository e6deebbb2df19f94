"""A cluster in one thread and on one fake clock: real pysyncobj, guard, core, proposals, reads, journal and WAL.

Only asyncio, sockets and the disk are simulated. Everything random comes from one seeded generator, so a
seed is a whole history. The world checks, while it runs: at most one leader a term; one entry per index is ever
applied; an acknowledged command stays; nothing is applied twice; a read sees every write acknowledged before it
began. In a `late` world the network is worse than the real transport: Raft's messages of an earlier connection
may arrive again on a later one. What the guard closes must hold there, too.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from kvstore.raft.config import Voting
from kvstore.raft.core import Core
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import (
    APPEND,
    APPEND_REPLY,
    IN_ROUNDS,
    READ_ACK,
    VOTE,
    VOTE_REPLY,
    Message,
    fault,
)
from kvstore.raft.proposals import Proposals
from kvstore.raft.readindex import ReadIndex
from kvstore.raft.wal import Wal
from tests.simulation.disk import SimulatedFiles

HEARTBEAT, ELECTION, TICK = 0.1, 0.5, 0.05
MAY_COME_AGAIN = (APPEND, APPEND_REPLY, VOTE, VOTE_REPLY, READ_ACK)
WINDOW = 12
"""Applied entries kept for members that lag: few, so that snapshots are common."""


class Violation(AssertionError):
    """The simulated cluster broke a promise."""


class Future:
    """As much of asyncio's as proposals and reads need."""

    def __init__(self, then: Callable[[Any], None]) -> None:
        self._then: Callable[[Any], None] | None = then

    def done(self) -> bool:
        return self._then is None

    def set_result(self, result: Any) -> None:
        then, self._then = self._then, None
        assert then is not None
        then(result)

    def set_exception(self, _error: BaseException) -> None:
        self._then = None


class Machine:
    """The applied commands. `save` is a commit to its own disk, at moments of its own choice."""

    def __init__(self, world: World, member: int) -> None:
        self._world, self._member = world, member
        self.state: tuple[tuple[int, int], tuple[bytes, ...]] = ((0, 0), ())
        self._saved = self.state

    def applied(self) -> tuple[int, int]:
        return self.state[0]

    def durable_index(self) -> int:
        return self._saved[0][0]

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        (last, _), had = self.state
        if index != last + 1:
            raise Violation(f"member {self._member} applies {index} after {last}")
        self._world.check_applied(self._member, index, term, tuple(commands))
        self.state = ((index, term), had + tuple(commands))
        return [index] * len(commands)

    def voting(self) -> Voting | None:
        return None

    def save(self) -> None:
        self._saved = self.state

    def crash(self) -> None:
        self.state = self._saved


class Member:
    """One process. Rounds run as in the engine; a sync takes time, and the process may die during it."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.files = SimulatedFiles(world.rng)
        self.machine = Machine(world, number)
        self.life = 0
        self.alive = False

    def start(self) -> None:
        rng = self.world.rng
        self.life += 1
        self.alive, self.busy = True, False
        self.inbox: list[tuple[int, Message]] = []
        self.steps: list[Callable[[], None]] = []
        self.wal = Wal(self.files, cluster_id=1, member_id=self.number, segment_bytes=600)
        self.journal = WalJournal(self.wal)
        self.journal.open(self.machine.applied())
        self.proposals = Proposals(self.number, rng.getrandbits(31), 1 << 20)
        self.core = Core(
            self.number,
            Voting(frozenset(self.world.members)),
            self.journal,
            self.machine,
            self.proposals,
            heartbeat=HEARTBEAT,
            election=ELECTION,
            max_entry_bytes=1 << 20,
            rng=rng,
            on_snapshot_needed=self._snapshot_needed,
        )
        self.reads = ReadIndex(self.core, self._send, rng.getrandbits(31))
        self.leader: tuple[int | None, int] = (None, 0)
        self.world.connect_all(self.number)
        self._later(TICK * rng.random(), self._tick)

    def crash(self) -> None:
        self.alive = False
        self.files.crash()
        self.machine.crash()

    def receive(self, peer: int, message: Message) -> None:
        what = fault(message)
        if what is not None:
            raise Violation(f"a member sent a malformed message: {what}")
        if message["type"] in IN_ROUNDS:
            self.inbox.append((peer, message))
            self.round()
        else:
            self.reads.received(peer, message)
            self.reads.pump()

    def round(self) -> None:
        if self.busy or not self.alive:
            return
        core = self.core
        steps, self.steps = self.steps, []
        for step in steps:
            step()
        inbox, self.inbox = self.inbox, []
        for peer, message in inbox:
            core.deliver(peer, message)
        core.tick()
        now = (core.node.leader_id, core.node.term)
        if now != self.leader:
            self.leader = now
            if core.node.is_leader:
                self.world.check_leader(self.number, core.node.term)
            self.reads.leader_changed()
        self._send(core.take_early())
        batch = self.journal.take_batch()
        if batch is None:
            self._send(core.take_held())
            self.reads.pump()
            return
        self.busy = True
        data, held = batch, core.take_held()
        rng = self.world.rng
        duration = rng.random() * (0.1 if rng.random() < 0.2 else 0.01)
        if rng.random() < 0.5:
            self.wal.commit(data)  # a crash before `_synced` is a crash after fsync, else one before it
            self._later(duration, lambda: self._synced(held))
        else:
            self._later(duration, lambda: (self.wal.commit(data), self._synced(held)))

    def _synced(self, held: list[tuple[int, Message]]) -> None:
        self.busy = False
        connected = self.core.node.connected
        self._send([item for item in held if item[0] in connected])
        self.reads.pump()
        self.round()

    def _tick(self) -> None:
        self._later(TICK, self._tick)
        self.round()
        self.reads.retry()
        if not self.busy:
            if self.world.rng.random() < 0.1:
                self.machine.save()
            keep = min(self.core.node.applied_index - WINDOW, self.machine.durable_index())
            self.journal.forget_before(keep)
            self.wal.trim(min(self.journal.base.index, self.machine.durable_index()))

    def _send(self, messages: Any) -> None:
        for peer, message in messages:
            self.world.send(self.number, peer, message)

    def _later(self, delay: float, step: Callable[[], object]) -> None:
        life = self.life
        self.world.later(delay, lambda: step() if self.alive and self.life == life else None)

    # Snapshots: the transfer is simulated, its two ends are the core's.

    def _snapshot_needed(self, peer: int) -> None:
        if peer in self.core.snapshotting:
            return
        self.core.snapshotting.add(peer)
        state, term = self.machine.state, self.core.node.term
        life = self.life

        def offer() -> None:
            target = self.world.members[peer]
            if target.alive and self.alive and self.life == life and self.world.linked(self.number, peer):
                target.steps.append(lambda: target.install(self, term, state))
                target.round()

        self.world.later(self.world.rng.random() * 0.3, offer)
        self._later(1.0, lambda: self.core.snapshotting.discard(peer))

    def install(self, sender: Member, term: int, state: Any) -> None:
        (index, entry_term), _ = state
        core = self.core
        if core.node.term != term or core.node.leader_id != sender.number:
            return
        if self.journal.term_at(index) == entry_term:
            core.node.committed(index)
        if index > core.node.commit_index:
            self.machine.state = state
            self.machine.save()
            core.snapshot_installed(index, entry_term)
        has, life = max(index, core.node.applied_index), sender.life

        def confirm() -> None:
            if sender.alive and sender.life == life and sender.core.node.term == term:
                sender.steps.append(lambda: sender.core.peer_has(self.number, has))

        self._later(0.05, confirm)


class World:
    def __init__(self, seed: int, size: int = 3, *, late: bool = False) -> None:
        self.rng = random.Random(seed)
        self._late: dict[tuple[int, int], list[Message]] | None = {} if late else None
        self._leaders: dict[int, int] = {}
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._committed: dict[int, tuple[int, tuple[bytes, ...]]] = {}
        self.acknowledged: dict[bytes, int] = {}
        self._links: set[frozenset[int]] = set()
        self._epochs: dict[frozenset[int], int] = {}
        self._arrival: dict[tuple[int, int], float] = {}
        self._commands = itertools.count()
        self.reads = 0
        self.members: dict[int, Member] = {}
        for number in range(1, size + 1):
            self.members[number] = Member(self, number)
        for member in self.members.values():
            member.start()

    def later(self, delay: float, step: Callable[[], object]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), step))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, step = heapq.heappop(self._queue)
            step()
        self.now = end

    # Network: FIFO for each direction of a connection; what is on the wire is lost with the connection.

    def linked(self, a: int, b: int) -> bool:
        return frozenset((a, b)) in self._links

    def connect(self, a: int, b: int) -> None:
        pair = frozenset((a, b))
        if pair in self._links or not (self.members[a].alive and self.members[b].alive):
            return
        self._links.add(pair)
        self._epochs[pair] = self._epochs.get(pair, 0) + 1
        for own, peer in ((a, b), (b, a)):
            self._send_again(own, peer)
            member = self.members[own]
            member.core.connected(peer)
            if member.core.node.leader_id == peer:
                member.proposals.fail_sent(member.core.node.term)

    def disconnect(self, a: int, b: int) -> None:
        pair = frozenset((a, b))
        if pair not in self._links:
            return
        self._links.discard(pair)
        for own, peer in ((a, b), (b, a)):
            member = self.members[own]
            if member.alive:
                member.inbox = [item for item in member.inbox if item[0] != peer]
                member.core.disconnected(peer)
                member.reads.disconnected(peer)

    def connect_all(self, number: int) -> None:
        for other in self.members:
            if other != number and self.members[other].alive:
                self.connect(number, other)

    def send(self, source: int, target: int, message: Message) -> None:
        pair = frozenset((source, target))
        if pair not in self._links:
            return
        epoch = self._epochs[pair]
        delay = self.rng.random() * (0.3 if self.rng.random() < 0.02 else 0.01)
        # Never before what was sent earlier on the same connection.
        at = max(self.now + delay, self._arrival.get((source, target), 0.0) + 1e-6)
        self._arrival[source, target] = at
        copy = dict(message)
        if self._late is not None and message["type"] in MAY_COME_AGAIN and self.rng.random() < 0.3:
            self._late.setdefault((source, target), []).append(copy)

        def arrive() -> None:
            if pair in self._links and self._epochs[pair] == epoch and self.members[target].alive:
                self.members[target].receive(source, copy)

        heapq.heappush(self._queue, (at, next(self._order), arrive))

    def _send_again(self, source: int, target: int) -> None:
        """What an earlier connection carried, on a new one."""
        late = self._late.pop((source, target), []) if self._late is not None else []
        for message in late[-20:]:
            if self.rng.random() < 0.5:
                self.later(self.rng.random() * 0.3, lambda m=message: self._arrive_again(source, target, m))  # type: ignore[misc]

    def _arrive_again(self, source: int, target: int, message: Message) -> None:
        if self.linked(source, target) and self.members[target].alive:
            self.members[target].receive(source, message)

    # Clients.

    def write(self) -> None:
        member = self.rng.choice(list(self.members.values()))
        if not member.alive:
            return
        command = b"command %d" % next(self._commands)

        def acknowledged(index: int) -> None:
            self.acknowledged[command] = index

        member.proposals.add(command, Future(acknowledged), self.now + 60.0)  # type: ignore[arg-type]
        member.round()

    def read(self) -> None:
        member = self.rng.choice(list(self.members.values()))
        if not member.alive:
            return
        needed = max(self.acknowledged.values(), default=0)

        def answered(index: int) -> None:
            self.reads += 1
            if index < needed:
                raise Violation(f"a read at {index} misses the acknowledged write at {needed}")

        member.reads.add(Future(answered))  # type: ignore[arg-type]
        member.reads.pump()

    # Faults.

    def crash(self, number: int) -> None:
        for other in self.members:
            if other != number:
                self.disconnect(number, other)
        self.members[number].crash()

    def heal(self) -> None:
        for member in self.members.values():
            if not member.alive:
                member.start()
        for number in self.members:
            self.connect_all(number)

    def disturb(self) -> None:
        """One random fault or repair."""
        rng = self.rng
        number = rng.choice(list(self.members))
        member = self.members[number]
        other = rng.choice([n for n in self.members if n != number])
        what = rng.random()
        busy = [n for n, each in self.members.items() if each.alive and each.busy]
        if busy and what < 0.1:
            number = rng.choice(busy)  # the worst moment to die
            member = self.members[number]
        if not member.alive:
            member.start()
        elif what < 0.2:
            self.crash(number)
        elif what < 0.45:
            self.disconnect(number, other)
        elif what < 0.55:
            for peer in self.members:
                if peer != number:
                    self.disconnect(number, peer)
        elif what < 0.65:
            for each in self.members:
                if self.members[each].alive:
                    self.crash(each)
        elif what < 0.7 and member.core.node.is_leader and member.core.node.connected:
            member.core.node.transfer_to(min(member.core.node.connected))
        elif what < 0.85:
            self.stall(number, other, rng.random() * 1.5)
        else:
            self.connect(number, other)

    def stall(self, source: int, target: int, seconds: float) -> None:
        """One direction of a connection hangs: everything on it arrives late, in order."""
        last = self._arrival.get((source, target), 0.0)
        self._arrival[source, target] = max(last, self.now + seconds)

    # Promises.

    def check_leader(self, member: int, term: int) -> None:
        if self._leaders.setdefault(term, member) != member:
            raise Violation(f"members {self._leaders[term]} and {member} both lead in term {term}")

    def check_applied(self, member: int, index: int, term: int, commands: tuple[bytes, ...]) -> None:
        first = self._committed.setdefault(index, (term, commands))
        if first != (term, commands):
            raise Violation(f"member {member} applies {commands} (term {term}) at {index}, where {first} was")

    def check_end(self) -> None:
        """After healing and time to settle: everything agrees, nothing is lost or done twice."""
        states = {member.machine.state for member in self.members.values()}
        if len(states) != 1:
            heads = {n: member.machine.state[0] for n, member in self.members.items()}
            raise Violation(f"applied states differ in the end: {heads}")
        commands = next(iter(states))[1]
        if len(set(commands)) != len(commands):
            raise Violation("a command was applied twice")
        lost = self.acknowledged.keys() - set(commands)
        if lost:
            raise Violation(f"acknowledged writes are lost: {sorted(lost)[:5]}")
