"""The Raft engine: the asyncio shell around `Core` that makes it live; its API is used by `kvstore.member`.

One task runs the rounds (see `kvstore.raft.core`); everything else only queues and wakes it. Messages that
need no disk (read rounds, snapshots) are handled as they come. Beside it stand `syncing` (the log's way to disk) and
`leaving` (the end of a member that was removed).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from kvstore.errors import (
    BadLeaderTransferee,
    NotLeader,
    RequestTimeout,
    Stopped,
    StoreError,
    TooManyRequests,
)
from kvstore.raft.config import RaftConfig
from kvstore.raft.core import Core
from kvstore.raft.files import OsFiles
from kvstore.raft.interface import StateMachine
from kvstore.raft.journal import WalJournal
from kvstore.raft.leaving import Leaving
from kvstore.raft.matches import Matches
from kvstore.raft.messages import (
    APPEND,
    ASK_MATCH,
    IN_ROUNDS,
    MATCH,
    SNAP_ACK,
    SNAP_CHUNK,
    SNAP_OFFER,
    Message,
    fault,
)
from kvstore.raft.node import check_hooks
from kvstore.raft.proposals import Proposals
from kvstore.raft.readindex import ReadIndex
from kvstore.raft.snapshots import Snapshots
from kvstore.raft.syncing import Syncing
from kvstore.raft.transport import PeerTransport
from kvstore.raft.view import EngineView
from kvstore.raft.waiters import AppliedWaiters
from kvstore.raft.wal import Wal

log = logging.getLogger(__name__)

TICK_SECONDS = 0.025
SWEEP_TICKS = 4
WINDOW_BYTES = 64 << 20


class Engine(EngineView):
    """Start, propose, read, stop. After a fatal error `failure` is set and everything raises `Stopped`."""

    def __init__(
        self, config: RaftConfig, machine: StateMachine, *, rng: random.Random | None = None
    ) -> None:
        check_hooks()
        self._rng = rng or random.Random()
        self._files = OsFiles(config.data_dir / "member" / "wal", fsync=not config.unsafe_no_fsync)
        self.wal = Wal(self._files, cluster_id=config.cluster_id, member_id=config.member_id)
        super().__init__(config, machine, WalJournal(self.wal))
        self._proposals = Proposals(config.member_id, self._rng.getrandbits(31), config.max_entry_bytes)
        self._transport = PeerTransport(config, self, lambda: self.term)
        self._matches = Matches(self, self._transport.send)
        self._inbox: list[tuple[int, Message]] = []
        self._wake = asyncio.Event()
        self._syncing = Syncing(config, self.wal, self._transport.send)
        self._leaving = Leaving(config, self._fatal)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._leader: tuple[int | None, int] = (None, 0)
        self._callbacks: list[Callable[[int | None], None]] = []
        self._waiters = AppliedWaiters()
        self._steps: list[Callable[[Core], None]] = []
        self.failure: asyncio.Future[BaseException] | None = None

    # Lifecycle.

    async def start(self) -> None:
        """Read the log, listen, dial, run. Raises `DataLoss` for a damaged log, OSError for a taken port."""
        loop = asyncio.get_running_loop()
        config = self.config
        self.failure = loop.create_future()
        self.journal.open(self.machine.applied(), first_start=config.first_start)
        if config.force_new:
            self.journal.void_changes(self.machine.applied()[0])
        self._core = Core(
            config.member_id,
            self.machine.voting() or config.voting,
            self.journal,
            self.machine,
            self._proposals,
            heartbeat=config.heartbeat_interval,
            election=config.election_timeout,
            max_entry_bytes=config.max_entry_bytes,
            rng=self._rng,
            on_snapshot_needed=lambda peer: self._snapshots.need(peer),
            pre_vote=config.pre_vote,
            blank=config.blank and self.machine.applied()[0] == 0,
        )
        if self._core.is_removed:
            log.warning("this member was removed, and ends when the others say so")
        nonce = self._rng.getrandbits(31)
        self._reads = ReadIndex(self._core, self._transport.send, nonce)
        self._snapshots = Snapshots(self, self._core, self._transport.send)
        await self._transport.start()
        self._task = loop.create_task(self._run(), name="raft")
        self._timer = loop.call_later(TICK_SECONDS, self._on_timer)
        self._wake.set()

    async def stop(self) -> None:
        """Waits for the round that is running; what waits for an answer gets `Stopped`."""
        self._leaving.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            task, self._task = self._task, None
            self._wake.set()
            await asyncio.wait([task])
            await self._snapshots.stop()
            self._fail_waiting()
        await self._transport.stop()
        self._syncing.stop()
        self.wal.close()

    def slow_disk(self, delay: float, seconds: float) -> None:
        """For drills: every fsync of the log takes `delay` seconds longer, for so many seconds from now on."""
        self._files.slow_down(delay, seconds)

    # Requests.

    async def propose(self, command: bytes, timeout: float, *, change: bool = False) -> object:
        """The result of this member's apply. Raises as `kvstore.errors` says; NoLeader: nothing was done.

        `change`: the command changes the members; it waits until the last such change is applied."""
        self._check_running()
        if self._proposals.full:
            raise TooManyRequests
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        self._proposals.add(command, future, loop.time() + timeout, change=change)
        self._wake.set()
        return await future

    async def read_index(self, timeout: float) -> int:
        """An index that every write acknowledged before this call has reached; applied here on return."""
        self._check_running()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                if self._reads.add(future):
                    loop.call_soon(self._reads.pump)
                index = await future
                await self.wait_applied(index)
        except TimeoutError:
            raise RequestTimeout from None
        return index

    async def wait_applied(self, index: int) -> None:
        if self.applied_index < index:
            await self._waiters.wait(index)

    async def transfer_leadership(self, to: int | None = None) -> None:
        """Hand over to a member (None: the most advanced). New proposals wait meanwhile."""
        core = self._running_core()
        if not core.node.is_leader:
            raise NotLeader
        if to == self.config.member_id:
            return
        if to is not None and to not in core.node.voters:
            raise BadLeaderTransferee
        core.paused = True
        try:
            async with asyncio.timeout(2 * self.config.election_timeout):
                while core.node.is_leader:
                    target = self._transferee(core) if to is None else to
                    if target in core.node.connected:
                        core.node.transfer_to(target)
                        self._wake.set()
                    await asyncio.sleep(self.config.heartbeat_interval / 2)
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            core.paused = False
            self._wake.set()

    async def replication(self, member: int, timeout: float) -> tuple[int, int]:
        """(last index that member is known to hold, last index of the leader), as the leader knows it."""
        self._check_running()
        return await self._matches.ask(member, timeout)

    # State.

    def round_trips(self) -> dict[int, float]:
        """Seconds by member, as a leader measured them with its last linearizable read; empty elsewhere."""
        return dict(self._reads.round_trips) if self.is_leader else {}

    def sync_times(self) -> list[float]:
        """Seconds that the last batches of the log took to be on disk."""
        return list(self._syncing.took)

    @property
    def port(self) -> int:
        return self._transport.port

    def on_leader_change(self, callback: Callable[[int | None], None]) -> None:
        """`callback(leader id or None)` after each change of leader or term."""
        self._callbacks.append(callback)

    # Called by the transport (`kvstore.raft.transport.Handler`).

    def peer_connected(self, peer: int) -> None:
        core = self._running_core()
        log.info("connected to member %x", peer)
        core.connected(peer)
        if core.node.leader_id == peer:
            self._proposals.fail_sent(core.node.term)
        self._wake.set()

    def peer_disconnected(self, peer: int) -> None:
        core = self._running_core()
        log.info("lost the connection to member %x", peer)
        self._inbox = [item for item in self._inbox if item[0] != peer]
        core.disconnected(peer)
        self._reads.disconnected(peer)
        self._snapshots.disconnected(peer)
        self._wake.set()

    def peer_message(self, peer: int, message: Message) -> None:
        what = fault(message)
        if what is not None:
            log.warning("dropped a message from member %x: %s", peer, what)
            return
        kind = message["type"]
        if kind in IN_ROUNDS:
            if kind == APPEND:
                self._syncing.answer_for(self._running_core(), peer, message)
            self._inbox.append((peer, message))
            self._wake.set()
        elif kind in (ASK_MATCH, MATCH):
            self._matches.received(peer, message)
        elif kind in (SNAP_OFFER, SNAP_CHUNK, SNAP_ACK):
            self._snapshots.received(peer, message)
        else:
            self._reads.received(peer, message)
            self._reads.pump()

    def in_round(self, step: Callable[[Core], None]) -> None:
        """Run `step` between two rounds, when nothing of the log is in flight."""
        self._steps.append(step)
        self._wake.set()

    # The rounds.

    async def _run(self) -> None:
        core = self._running_core()
        try:
            while self._task is not None:
                await self._wake.wait()
                self._wake.clear()
                await self._round(core)
        except Exception as error:
            self._fatal(error)

    async def _round(self, core: Core) -> None:
        before = core.node.applied_index  # a step may install a snapshot
        steps, self._steps = self._steps, []
        for step in steps:
            step(core)
        inbox, self._inbox = self._inbox, []
        for peer, message in inbox:
            core.accept(peer, message)
        core.tick()
        self._observe_leader(core)
        if core.members_changed:
            self._members_changed(core)
        self._send_early(core)
        if core.node.applied_index != before:
            self.machine.flush()
            self._waiters.release(core.node.applied_index)
        batch = self.journal.take_batch()
        if batch is not None:
            await self._syncing.commit(core, batch)
        self._transport.send(core.take_held())
        self._reads.pump()
        if core.backlog or (batch is not None and not core.node.others) or self._wants_round(core):
            self._wake.set()

    def _send_early(self, core: Core) -> None:
        """Each message costs about as much time as a whole round. Answers leave within two turns of the loop."""
        early = core.take_early()
        later = [item for item in early if core.can_wait(*item)]
        if later:
            early = [item for item in early if not core.can_wait(*item)]
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._transport.send, later)
        self._transport.send(early)

    def _wants_round(self, core: Core) -> bool:
        return core.node.is_leader and self._proposals.queued and core.has_room

    def _members_changed(self, core: Core) -> None:
        """Saved before anybody hears of it: a member that was removed ends, and nobody can ask it any more whether
        its removal was committed."""
        core.members_changed = False
        self.machine.save()
        peers = self.machine.peers()
        if not peers:
            return
        others = {id_: peer for id_, peer in peers.items() if id_ != self.config.member_id}
        log.info("members: %s", ", ".join(f"{peer.name or '?'} ({id_:x})" for id_, peer in peers.items()))
        if core.is_removed:
            log.info("this member was removed, and ends when the others know")
            self._leaving.when_known(core)
        else:
            self._transport.set_peers(others, self.machine.former())

    def about_members(self) -> object:
        """Called by the transport."""
        return self.machine.about_members()

    def removed(self, by: int) -> None:
        """Called by the transport."""
        self._leaving.dismissed(by, self._running_core())

    def _observe_leader(self, core: Core) -> None:
        now = (core.node.leader_id, core.node.term)
        if now == self._leader:
            return
        self._leader = now
        log.info("term %d, leader %s", now[1], "none" if now[0] is None else f"{now[0]:x}")
        self._reads.leader_changed()
        for callback in self._callbacks:
            callback(now[0])

    def _on_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_SECONDS, self._on_timer)
        self._ticks += 1
        if self._syncing.under_way:
            self._syncing.outlast(self._running_core(), loop.time())
        elif self._running_core().is_due:
            self._wake.set()
        if self._ticks % SWEEP_TICKS:
            return
        self._proposals.expire(loop.time(), self.leader_id is not None)
        self._reads.retry()
        self.in_round(lambda _: self.machine.flush())
        if self._ticks % (SWEEP_TICKS * 5) == 0:
            self._transport.check(max(2.0, 3 * self.config.election_timeout))
            self.in_round(self._trim)

    def _trim(self, core: Core) -> None:
        """Keep `snapshot_count` applied entries (fewer if large) for members that lag, and what is volatile."""
        journal = self.journal
        keep = core.node.applied_index - self.config.snapshot_count
        if journal.bytes_held > WINDOW_BYTES:
            keep = max(keep, (journal.base.index + core.node.applied_index) // 2)
        keep = min(keep, self.machine.durable_index())  # a snapshot is at least that new
        keep = min(keep, self._snapshots.oldest_index(core.node.applied_index))
        # Not entry by entry: a slice of the window costs as much as the window is long.
        if keep - journal.base.index > self.config.snapshot_count // 10 or journal.bytes_held > WINDOW_BYTES:
            journal.forget_before(keep)
        self.wal.trim(min(journal.base.index, self.machine.durable_index()))

    def _transferee(self, core: Core) -> int:
        peers = core.node.connected & core.node.voters
        if not peers:
            raise BadLeaderTransferee
        return max(peers, key=lambda peer: (core.node.match_index(peer), peer))

    def _running_core(self) -> Core:
        assert self._core is not None, "the engine was not started"
        return self._core

    def _check_running(self) -> None:
        if self._task is None or (self.failure is not None and self.failure.done()):
            raise Stopped

    def _fatal(self, error: Exception) -> None:
        """Nothing can be promised any more: close the doors and say so. The owner ends the process."""
        log.critical("this member stops: %s", error, exc_info=not isinstance(error, OSError | StoreError))
        if self.failure is not None and not self.failure.done():
            self.failure.set_result(error)
        self._fail_waiting()
        self._transport.abort()

    def _fail_waiting(self) -> None:
        self._proposals.fail_all(Stopped)
        self._reads.fail(Stopped)
        self._waiters.fail(Stopped)
