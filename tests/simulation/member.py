"""One simulated process: rounds run as in the engine, a sync takes time, and it may die or be paused at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kvstore.raft.config import Voting
from kvstore.raft.core import Core
from kvstore.raft.departure import PATIENCE, Departure
from kvstore.raft.errors import WalError
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import IN_ROUNDS, Message, fault
from kvstore.raft.proposals import Proposals
from kvstore.raft.readindex import ReadIndex
from kvstore.raft.wal import Batch, Wal
from tests.simulation.clients import Future
from tests.simulation.disk import SimulatedFiles
from tests.simulation.machine import Machine, State
from tests.simulation.promises import Violation
from tests.simulation.watches import Data

if TYPE_CHECKING:
    from tests.simulation.world import World

HEARTBEAT, ELECTION, TICK = 0.1, 0.5, 0.05
SWEEP_TICKS = 4
RESERVED_BYTES = 32 << 10
"""What `Proposals` leaves free in an entry."""


class Disk:
    """What a member has on disk (`promises.Durable`): its log as of the last sync, and its applied state."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._base = 0
        self._terms: dict[int, int] = {}
        self.vote = (0, 0)

    def synced(self, journal: WalJournal) -> Callable[[], None]:
        """Call it when what the journal holds now is on disk."""
        base, vote = journal.base.index, (journal.getCurrentTerm(), journal.getVotedForNodeId() or 0)
        terms = {entry.index: entry.term for entry in journal[:]}  # type: ignore[union-attr]

        def note() -> None:
            self._base, self._terms, self.vote = base, terms, vote

        return note

    def holds(self, index: int, term: int) -> bool:
        return index <= max(self._base, self._machine.durable_index()) or self._terms.get(index) == term


class Journal(WalJournal):
    """The real one, watched."""

    def __init__(self, wal: Wal, member: Member) -> None:
        super().__init__(wal)
        self._member = member

    def add(self, command: bytes, idx: int, term: int) -> None:
        self._member.world.promises.logs(self._member.number, idx, term, self.last.term, command)
        super().add(command, idx, term)

    def holds(self, index: int, term: int) -> bool:
        return index <= self.base.index or self.term_at(index) == term


class Member:
    """`founders` are the members that the cluster begins with; None for one that joins it later."""

    def __init__(self, world: World, number: int, founders: Voting | None) -> None:
        self.world, self.number = world, number
        self.files = SimulatedFiles(world.rng)
        self.machine = Machine(founders, self._applies)
        self.disk = Disk(self.machine)
        self.life = 0
        self.alive = self.gone = False
        self.paused_until = self.slow_until = 0.0
        self._joined = founders is None
        self._told = founders

    # Lifecycle.

    def start(self) -> None:
        """Does nothing for a member that was removed, or that is to join and finds nobody who knows it."""
        if self._told is None:
            self._told = self.world.ask_members(self.number)
        if self.gone or self._told is None:
            return
        rng = self.world.rng
        self.life += 1
        self.alive, self.busy = True, False
        self._departure = Departure(self.number)
        self.paused_until, self.files.full = 0.0, False
        self._deferred: deque[Callable[[], object]] = deque()
        self.inbox: list[tuple[int, Message]] = []
        self.steps: list[Callable[[], None]] = []
        self.wal = Wal(self.files, cluster_id=1, member_id=self.number, segment_bytes=600)
        self.journal = Journal(self.wal, self)
        self.journal.open(self.machine.applied())
        self.disk.synced(self.journal)()
        self.data = Data(self.number, self.world.ledger, self.machine.state.commands)
        self.proposals = Proposals(
            self.number, rng.getrandbits(31), self.world.conditions.batch_bytes // 2 + RESERVED_BYTES
        )
        self.core = Core(
            self.number,
            self.machine.voting() or self._told,
            self.journal,
            self.machine,
            self.proposals,
            heartbeat=HEARTBEAT,
            election=ELECTION,
            max_entry_bytes=self.world.conditions.batch_bytes,
            rng=rng,
            on_snapshot_needed=self._snapshot_needed,
            apply_seconds=self.world.conditions.apply_seconds,
            blank=self._joined and self.machine.applied()[0] == 0,
        )
        self.reads = ReadIndex(self.core, self.send, rng.getrandbits(31))
        self._leader: tuple[int | None, int] = (None, 0)
        self._committed = self.core.node.commit_index
        self._ticks = 0
        self.world.log(f"{self.number} starts at {self.machine.applied()}, log to {self.journal.last[1:]}")
        self.world.network.connect_all(self.number)
        self._later(TICK * rng.random(), self._tick)

    def crash(self, why: str = "loses power") -> None:
        self.world.log(f"{self.number} {why}")
        self.alive = False
        self.files.crash()
        self.machine.crash()
        self.world.promises.loses_power(self.number, self.disk)

    def pause(self, seconds: float) -> None:
        if self.alive:
            life, self.paused_until = self.life, max(self.paused_until, self.world.now + seconds)
            self.world.at(self.paused_until, lambda: self._wake(life))

    def knows(self, other: int) -> bool:
        voting = self.core.node.voting
        return other in voting.voters or other in voting.learners

    def when_awake(self, step: Callable[[], object]) -> None:
        """Now, or as soon as a paused process goes on; in order."""
        if self._deferred or self.paused_until > self.world.now:
            self._deferred.append(step)
        else:
            step()

    def _wake(self, life: int) -> None:
        while self.alive and self.life == life and self._deferred and self.paused_until <= self.world.now:
            self._deferred.popleft()()

    # Events.

    def connected(self, peer: int) -> None:
        self.core.connected(peer)
        if self.core.node.leader_id == peer:
            self.proposals.fail_sent(self.core.node.term)

    def disconnected(self, peer: int) -> None:
        self.inbox = [item for item in self.inbox if item[0] != peer]
        self.core.disconnected(peer)
        self.reads.disconnected(peer)

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

    def propose(self, command: bytes, future: Future, patience: float, *, change: bool) -> None:
        self.proposals.add(command, future, self.world.now + patience, change=change)  # type: ignore[arg-type]
        self.round()

    def read(self, future: Future) -> None:
        self.reads.add(future)  # type: ignore[arg-type]
        self.reads.pump()

    def in_round(self, step: Callable[[], None]) -> None:
        self.steps.append(step)
        self.round()

    # Rounds, as in `kvstore.raft.engine`.

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
        self._follows(core.node.commit_index)
        led, voting = core.node.is_leader, core.node.voting  # what the tick counts with, and may change
        core.tick()
        self.data.flush()
        self._observe(led, voting)
        self._send_early()
        batch = self.journal.take_batch()
        if batch is None:
            self.send(core.take_held())
            self.reads.pump()
        else:
            self._sync(batch)

    def _send_early(self) -> None:
        """What may leave behind the answers to clients leaves later, or never if the member dies before."""
        early, waiting = self.core.take_early(), self.world.conditions.waiting
        later = [item for item in early if waiting and self.core.can_wait(*item)]
        self.send(item for item in early if item not in later)
        if later:
            self._later(self.world.rng.random() * waiting, lambda: self.send(later))

    def _follows(self, commit_index: int) -> None:
        """What it was told is committed."""
        if commit_index > self._committed:
            self._committed = commit_index
            self.world.promises.follower_commits(self.number, commit_index)

    def _observe(self, led: bool, voting: Voting) -> None:
        core, promises = self.core, self.world.promises
        leader, term = core.node.leader_id, core.node.term
        if (leader, term) != self._leader:
            self._leader = (leader, term)
            if core.node.is_leader:
                self.world.log(f"{self.number} leads in term {term}")
                promises.leads(self.number, term, voting, self.journal, self.world.disks())
            self.reads.leader_changed()
        index = core.node.commit_index
        if index > self._committed and (led or core.node.is_leader):
            self._committed = index
            entry = (index, self.journal.term_at(index) or 0)
            promises.leader_commits(self.number, entry, voting, self.world.disks())
        self._follows(index)
        if core.members_changed:
            core.members_changed = False
            self._members_changed()

    def save_members(self) -> None:
        self.machine.save()

    def _members_changed(self) -> None:
        self.save_members()
        self.world.log(f"{self.number} has applied {self.core.node.voting}")
        self.world.network.members_changed(self.number)
        self._leave_when_known()

    def dismissed(self, by: int) -> None:
        """That member has applied the removal of this one, and says so."""
        if self.alive:
            if not self._departure.dismissed_by:
                self._later(PATIENCE * ELECTION, self._leave)
            self._departure.dismissed_by.add(by)
            self._leave_when_known()

    def _leave_when_known(self) -> None:
        if self._departure.may_end(self.core.node.voting):
            self._leave()

    def _leave(self) -> None:
        """It was removed: the process ends for ever."""
        self.gone = True
        self.world.crash(self.number, "leaves")

    def _sync(self, batch: Batch) -> None:
        """A crash before `_synced` is a crash after fsync, or one before it."""
        self.busy = True
        held, note = self.core.take_held(), self.disk.synced(self.journal)
        rng = self.world.rng
        duration = rng.random() * (0.1 if rng.random() < 0.2 else 0.01)
        if self.slow_until > self.world.now:
            duration += rng.random() * ELECTION

        def write() -> None:
            try:
                self.wal.commit(batch)
            except WalError:
                self.world.crash(self.number, "has no space")
            else:
                note()

        if rng.random() < 0.5:
            write()
            self._later(duration, lambda: self._synced(held))
        else:
            self._later(duration, lambda: self._written(write, held))

    def _written(self, write: Callable[[], None], held: list[tuple[int, Message]]) -> None:
        write()
        if self.alive:
            self._synced(held)

    def _synced(self, held: list[tuple[int, Message]]) -> None:
        self.busy = False
        connected = self.core.node.connected
        self.send([item for item in held if item[0] in connected])
        self.reads.pump()
        self.round()

    def _tick(self) -> None:
        self._later(TICK, self._tick)
        self._ticks += 1
        if self.core.is_due:
            self.round()
        if self._ticks % SWEEP_TICKS:
            return
        self.proposals.expire(self.world.now, self.core.node.leader_id is not None)
        self.reads.retry()
        if not self.busy:
            self._trim()

    def _trim(self) -> None:
        if self.world.rng.random() < 0.4:
            self.machine.save()
        keep = min(self.core.node.applied_index - self.world.conditions.window, self.machine.durable_index())
        self.journal.forget_before(keep)
        self.wal.trim(min(self.journal.base.index, self.machine.durable_index()))

    def send(self, messages: Iterable[tuple[int, Message]]) -> None:
        for peer, message in messages:
            self.world.network.send(self.number, peer, message)

    def _later(self, delay: float, step: Callable[[], object]) -> None:
        """In this life; a paused process does it when it goes on."""
        life = self.life
        self.world.later(delay, lambda: self.when_awake(step) if self.alive and self.life == life else None)

    def _applies(self, index: int, term: int, commands: tuple[bytes, ...]) -> None:
        self.world.promises.applies(self.number, self.machine.applied()[0], index, term, commands)
        self.data.apply(commands)

    # Snapshots: the transfer is simulated, its two ends are the core's.

    def _snapshot_needed(self, peer: int) -> None:
        if peer in self.core.snapshotting:
            return
        self.core.snapshotting.add(peer)
        state, term, life = self.machine.state, self.core.node.term, self.life

        def offer() -> None:
            target = self.world.members[peer]
            if (
                target.alive
                and self.alive
                and self.life == life
                and self.world.network.linked(self.number, peer)
            ):
                target.when_awake(lambda: target.in_round(lambda: target.install(self, life, term, state)))

        self.world.later(self.world.rng.random() * 0.3, offer)
        self._later(1.0, lambda: self.core.snapshotting.discard(peer))

    def install(self, sender: Member, life: int, term: int, state: State) -> None:
        index, entry_term = state.at
        core = self.core
        if core.node.term != term or core.node.leader_id != sender.number:
            return
        if self.journal.term_at(index) == entry_term:
            core.node.committed(index)
        if index > core.node.commit_index:
            self.world.log(f"{self.number} installs a snapshot at {state.at} from {sender.number}")
            self.machine.state = state
            self.machine.save()
            self.data.replace(state.commands)
            core.snapshot_installed(index, entry_term)
        has = max(index, core.node.applied_index)

        def confirm() -> None:
            if sender.alive and sender.life == life and sender.core.node.term == term:
                sender.when_awake(lambda: sender.in_round(lambda: sender.core.peer_has(self.number, has)))

        self._later(0.05, confirm)
