"""One member of the store: the Raft engine and the applied state joined, as one async API.

Everything above (the API server's storage, the gRPC front-end) talks to a `Member`; what may be asked of it is in
`kvstore.calls`.

The data directory, which this module owns (`restore` in `kvstore.backup` fills the same layout):

    DATA_DIR/member/identity.json   name, member id, cluster id; written first (`kvstore.raft.identity`)
    DATA_DIR/member/db/             LMDB: the applied state, with its Raft index (`kvstore.backend`)
    DATA_DIR/member/wal/            log segments (`kvstore.raft.wal`); created at the first start
    DATA_DIR/member/restored-from   the snapshot, if it was restored from one of etcd's (`kvstore.backup.bind`)
    DATA_DIR/member/snap/           snapshots on their way to or from other members; emptied at every start

To restore, put a restored database into `db` (at Raft index 0, the same for all members) and nothing else:
the first start writes the identity, with the cluster id that follows from names and the new token.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import weakref
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kvstore.auth.types import Credentials
from kvstore.bolt.stream import Chunk
from kvstore.bolt.stream import stream as stream_file
from kvstore.calls import Calls, Response
from kvstore.command import Request
from kvstore.config import VERSION, MemberConfig, raft_config
from kvstore.errors import (
    NoLeader,
    NotSupportedForLearner,
    RequestTimeout,
    Stopped,
    StoreError,
)
from kvstore.inspector import Inspector
from kvstore.origin import Origin
from kvstore.raft.engine import Engine
from kvstore.raft.interface import SnapshotMeta
from kvstore.reconfiguration import Reconfiguration
from kvstore.statemachine import KVStateMachine
from kvstore.telemetry import Figures
from kvstore.types import HashKVResponse, MemberInfo, ResponseHeader, StatusResponse, WatchCreateRequest
from kvstore.watch.stream import WatchStream

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """What the leader knows of a member: `lag` in entries; 0 and unconnected where nothing is known."""

    id: int
    name: str
    connected: bool
    match_index: int
    lag: int


class Member(Calls, Reconfiguration):
    def __init__(self, config: MemberConfig, *, rng: random.Random | None = None) -> None:
        if config.name not in config.initial_cluster:
            known = ", ".join(sorted(config.initial_cluster))
            raise ValueError(f"member {config.name!r} is not in the initial cluster ({known})")
        self.config = config
        self._rng = rng or random.Random()
        self._origin = Origin(config)
        self._machine: KVStateMachine | None = None
        self._engine: Engine | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: weakref.WeakSet[WatchStream] = weakref.WeakSet()
        self._callbacks: list[Callable[[int | None], None]] = []

    # Lifecycle.

    async def start(self) -> None:
        """Returns when the member takes part; `wait_leader` for a working cluster. Raises `DataLoss` errors,
        `ClusterIDMismatch`, and OSError if the peer address cannot be bound."""
        config = self.config
        origin = self._origin
        told = await origin.find()
        mine = origin.mine
        machine = KVStateMachine(
            config.data_dir / "member" / "db",
            cluster_id=mine.cluster_id,
            member_id=mine.member_id,
            quota_bytes=config.quota_bytes,
            min_lease_ttl=math.ceil(1.5 * config.election_timeout),
            max_txn_ops=config.max_txn_ops,
            token_ttl=config.auth_token_ttl,
            addresses=origin.given_addresses(),
        )
        if not told and config.joins and machine.applied()[0] == 0:
            told = (await origin.ask_the_others()).members  # it joined, and has got nothing yet
        if not told:
            machine.begin_with(origin.founding_members())
        if config.force_new_cluster:
            log.warning("member %s begins a new cluster of one with its data", config.name)
            machine.members.reduce_to(mine.member_id)
            machine.commit()
        removed = frozenset(machine.members.removed)
        engine_config = raft_config(
            config,
            mine,
            told or machine.members.all(),
            removed=removed,
            blank=bool(told),
            given=origin.given_addresses(),
        )
        engine = Engine(engine_config, machine, rng=self._rng)
        engine.on_leader_change(self._leader_changed)
        try:
            await engine.start()
        except OSError as error:
            await engine.stop()
            machine.close()
            if isinstance(error.errno, int) and error.strerror:
                error.strerror = f"member {config.name}, peer address {config.listen}: {error.strerror}"
            raise
        except StoreError:
            await engine.stop()
            machine.close()
            raise
        self._machine, self._engine = machine, engine
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._keep_house(), name="housekeeping"),
            loop.create_task(Inspector(self, config.corrupt_check_time).run(), name="inspector"),
            loop.create_task(self._publish(), name="publish"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()
        engine, machine = self._engine, self._machine
        for stream in list(self._streams):
            stream.stop()
        if engine is not None:
            self._engine = None
            await engine.stop()
        if machine is not None:
            self._machine = None
            try:
                machine.close()
            except StoreError as error:
                log.error("the applied state was not saved; the log restores it: %s", error)

    async def wait_failure(self) -> BaseException:
        """Returns only when the member can no longer work (its disk failed): its process must end."""
        failure = self._running().failure
        assert failure is not None
        return await asyncio.shield(failure)

    async def wait_leader(self, timeout: float) -> int:
        """The leader's id, once there is one that this member can work with. Raises `RequestTimeout`."""
        await self._running().read_index(timeout)
        leader = self.leader_id
        if leader is None:
            raise RequestTimeout
        return leader

    def on_leader_change(self, callback: Callable[[int | None], None]) -> None:
        """`callback(leader id or None)`."""
        self._callbacks.append(callback)

    def figures(self) -> Figures:
        """Of what is applied here, for metrics."""
        return self._state().figures()

    def watch(self) -> WatchStream:
        stream = WatchStream(
            self._state().hub,
            permitted=self._watch_permitted,
            progress_interval=self.config.watch_progress_interval,
        )
        self._streams.add(stream)
        return stream

    # Cluster.

    @property
    def id(self) -> int:
        """Of a member that joins: known once it has started."""
        return self._origin.mine.member_id

    @property
    def cluster_id(self) -> int:
        return self._origin.mine.cluster_id

    @property
    def is_learner(self) -> bool:
        mine = self._machine.members.get(self.id) if self._machine is not None else None
        return mine is not None and mine.is_learner

    async def read_index(self) -> int:
        self.require_voter()
        return await super().read_index()

    async def _write(self, request: Request, response: type[Response], who: Credentials | None) -> Response:
        self.require_voter()
        return await super()._write(request, response, who)

    def require_voter(self) -> None:
        """Raise what a learner answers to everything but its status and serializable reads."""
        if self.is_learner:
            raise NotSupportedForLearner

    @property
    def leader_id(self) -> int | None:
        return self._engine.leader_id if self._engine is not None else None

    @property
    def is_leader(self) -> bool:
        return self._engine is not None and self._engine.is_leader

    def member_name(self, member: int | None) -> str:
        """Empty for none and for ids that are no member's."""
        found = self._state().members.get(member or 0)
        return found.name if found else ""

    def header(self, revision: int = 0) -> ResponseHeader:
        """Of an answer of this member, at the revision applied here unless another is given."""
        return self._state().header(revision)

    def require_leader(self) -> None:
        """Raise `NoLeader` unless this member knows one."""
        if self.leader_id is None:
            raise NoLeader

    def member_list(self) -> list[MemberInfo]:
        """As applied here, with the addresses in use."""
        state = self._state()
        peers = state.peers()
        return [
            member
            if self.config.follows_state or member.id not in self._origin.founders
            else msgspec.structs.replace(
                member, peer_urls=(self._origin.url(peers[member.id].host, peers[member.id].port),)
            )
            for member in state.members.all()
        ]

    def progress(self) -> list[Progress]:
        """Of every member, as this one sees it: a leader knows, others only know themselves."""
        engine = self._running()
        connected = engine.connected()
        found = []
        for id_, name in ((member.id, member.name) for member in self._state().members.all()):
            own = id_ == self.id
            match = engine.last_index if own else engine.match_index(id_)
            lag = max(0, engine.last_index - match) if own or match else 0
            found.append(Progress(id_, name, own or id_ in connected, match, lag))
        return found

    def entry_of(self, revision: int) -> tuple[int, int] | None:
        """(Raft index, term) of the entry that made a revision; None unless it was applied here lately."""
        return self._state().entry_of(revision)

    def round_trips(self) -> dict[int, float]:
        """Of a leader: seconds to each other member and back, by id."""
        return self._running().round_trips()

    def sync_times(self) -> list[float]:
        """Seconds that the last batches of this member's log took to be on disk."""
        return self._running().sync_times()

    async def status(self) -> StatusResponse:
        """Of this member; answered without the others."""
        engine, state = self._running(), self._state()
        alarms = tuple(f"memberID:{a.member_id} alarm:{a.alarm.name} " for a in state.alarms().alarms)
        errors = alarms if engine.leader_id else (*alarms, "etcdserver: no leader")
        return StatusResponse(
            header=state.header(),
            version=VERSION,
            db_size=state.size(),
            leader=engine.leader_id or 0,
            raft_index=engine.commit_index,
            raft_term=engine.term,
            raft_applied_index=engine.applied_index,
            errors=errors,
            db_size_in_use=state.size_in_use(),
            is_learner=self.is_learner,
            storage_version="3.6.0",
            db_size_quota=state.quota(),
        )

    async def move_leader(self, target: int) -> None:
        """To that member id. Raises `NotLeader`, `BadLeaderTransferee`."""
        await self._running().transfer_leadership(target)

    def slow_disk(self, delay: float, seconds: float) -> None:
        """For drills: every fsync of the log takes `delay` seconds longer, for so many seconds from now on."""
        self._running().slow_disk(delay, seconds)

    async def snapshot(self, path: Path) -> SnapshotMeta:
        """A snapshot file of the store as of now (linearizable), written beside all other work."""
        await self.read_index()
        state = self._state()
        state.commit()
        return await asyncio.to_thread(state.write_snapshot, path)

    async def export(self) -> AsyncIterator[Chunk]:
        """This member's state as a snapshot file of etcd's; also without the others, as a last resort."""
        self._state().commit()
        directory = self.config.data_dir / "member"
        async for chunk in stream_file(directory / "db", directory / "snap", self.member_list()):
            yield chunk

    async def hash_kv(self, revision: int = 0) -> HashKVResponse:
        return await asyncio.to_thread(self._state().hash_kv(revision))

    async def check_data(self, timeout: float) -> None:
        """Compare this member's data with the others'. Raises `DataCorrupt` if this one is wrong."""
        await Inspector(self, 0).check(timeout)

    # What the inspector needs.

    def inspected(self) -> KVStateMachine:
        return self._state()

    def voters(self) -> Collection[int]:
        return [member.id for member in self._state().members.all() if not member.is_learner]

    async def propose(self, command: bytes) -> object:
        return await self._running().propose(command, self.config.request_timeout)

    # Inside.

    def _watch_permitted(self, request: WatchCreateRequest, who: Credentials | None) -> None:
        self._state().access.check(request, who)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                for command in self._state().housekeeping(is_leader=self.is_leader):
                    await self._running().propose(command, self.config.request_timeout)
            except Stopped:
                return
            except StoreError as error:
                log.info("housekeeping will be tried again: %s", error)

    def _leader_changed(self, leader: int | None) -> None:
        if leader == self.id and self._machine is not None:
            self._machine.promote()
        for callback in self._callbacks:
            callback(leader)

    async def _publish(self) -> None:
        """A member may be added without a name; clients want to know where it is."""
        while True:
            try:
                if self._state().members.get(self.id) is not None:
                    await self.publish(self.config.name, self.config.client_urls)
                    return
            except Stopped:
                return
            except StoreError as error:
                log.info("publishing this member's addresses will be tried again: %s", error)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    def _limits(self) -> MemberConfig:
        return self.config

    def _raft(self) -> Engine:
        return self._running()

    def _patience(self) -> float:
        return self.config.request_timeout

    def _running(self) -> Engine:
        if self._engine is None:
            raise Stopped
        return self._engine

    def _state(self) -> KVStateMachine:
        if self._machine is None:
            raise Stopped
        return self._machine
