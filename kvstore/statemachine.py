"""The applied state of one member: what the Raft log's commands make of the store, and what readers see.

Implements `kvstore.raft.interface.StateMachine`. The engine feeds committed entries to `apply`; each
command runs in one write transaction (`kvstore.applier`) on the data (`kvstore.mvcc`), leases
(`kvstore.lease`) and users (`kvstore.auth`), its result goes back to whoever proposed it, and its events
wait for `flush`, which hands them to the watch hub, commits to LMDB when due and reclaims compacted space
a slice at a time. `kvstore.member` reads through it and proposes what `housekeeping` asks for.
Deterministic: every member that has applied the same entries gives the same results and holds the same
data; only deadlines of leases and tokens and the size of files are a member's own.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from kvstore import backup, telemetry
from kvstore.auth.access import Access
from kvstore.auth.store import AuthStore
from kvstore.auth.tokens import TTL
from kvstore.auth.types import AuthAnswer, AuthQuery, Credentials
from kvstore.backend import LmdbBackend
from kvstore.command import Command, decode, encode
from kvstore.command import Request as CommandRequest
from kvstore.corruption import Comparison
from kvstore.errors import InvalidArgument, StoreError
from kvstore.housekeeping import SpaceAlarm, expired_leases
from kvstore.install import Prepared, prepare
from kvstore.membership import address
from kvstore.mvcc.hashing import hash_kv
from kvstore.mvcc.store import Keys
from kvstore.parts import Parts
from kvstore.raft.config import Peer, Voting
from kvstore.raft.interface import SnapshotMeta
from kvstore.txn import MAX_OPS, check, is_read_only
from kvstore.types import (
    AlarmResponse,
    AlarmType,
    DeleteRangeRequest,
    Event,
    HashKVResponse,
    LeaseLeasesResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    TxnRequest,
    TxnResponse,
)
from kvstore.watch.hub import WatchHub

log = logging.getLogger(__name__)

DEFAULT_QUOTA = 2 << 30
"""Bytes, as etcd's default of --quota-backend-bytes."""

_COMMIT_INTERVAL = 0.1
_COMMIT_COMMANDS = 2000
"""A commit stops the event loop for the disk's fdatasync and one microsecond for each command in it, whose records
are written one behind the other: 2.3 ms measured for 2,000 puts of 256 bytes."""
_COMPACTION_SLICE = 100
_COMPACTION_WEIGHT = 4
"""Of a record visited, in puts: what is removed lies scattered, so that a commit has a page to write for each."""
_COMPACTION_SHARE = 0.1
"""Of the time: what reclaiming compacted space may take from everything else."""

_REMEMBERED_ENTRIES = 4096
"""Whose place in the log is known by their revision."""

Outcome = TypeVar("Outcome", bound=msgspec.Struct)


class KVStateMachine:
    """The applied state in `path`. `apply` raises for nothing but files that cannot be read or written."""

    def __init__(
        self,
        path: Path,
        *,
        cluster_id: int,
        member_id: int,
        quota_bytes: int = DEFAULT_QUOTA,
        min_lease_ttl: int = 2,
        max_txn_ops: int = MAX_OPS,
        token_ttl: float = TTL,
        clock: Callable[[], float] = time.monotonic,
        addresses: Mapping[int, tuple[str, int]] | None = None,
    ) -> None:
        self._path = path
        self._addresses = dict(addresses or {})
        self._cluster_id = cluster_id
        self._member_id = member_id
        self._space = SpaceAlarm(path, member_id, quota_bytes or DEFAULT_QUOTA)
        self._min_lease_ttl = min_lease_ttl
        self._max_txn_ops = max_txn_ops
        self._token_ttl = token_ttl
        self._clock = clock
        self._load()
        self.hub = WatchHub(self._mvcc)

    def _load(self, keys: Keys | None = None) -> None:
        self._backend = LmdbBackend(self._path, self._space.quota)
        try:
            self._parts = self._read_parts(keys)
        except BaseException:
            self._backend.close()
            raise
        self._index, self._term = self._backend.state.index, self._backend.state.term
        self._mvcc, self._applier = self._parts.mvcc, self._parts.applier
        self._compactor, self._lessor = self._parts.compactor, self._parts.lessor
        self.members = self._parts.members
        self._events: list[Event] = []
        self._written: deque[tuple[int, int, int]] = deque(maxlen=_REMEMBERED_ENTRIES)
        self._used = self._backend.size_in_use()
        self._uncommitted = 0
        self._committed_at = self._flushed_at = self._clock()

    def _read_parts(self, keys: Keys | None) -> Parts:
        return Parts(
            self._backend,
            cluster_id=self._cluster_id,
            now=self._clock(),
            min_lease_ttl=self._min_lease_ttl,
            token_ttl=self._token_ttl,
            max_txn_ops=self._max_txn_ops,
            keys=keys,
        )

    # The engine's side.

    def applied(self) -> tuple[int, int]:
        return self._index, self._term

    def durable_index(self) -> int:
        return self._backend.durable.index

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        if index <= self._index:
            return []
        self._index, self._term = index, term
        self._uncommitted += len(commands) or 1
        before = self._mvcc.revision
        results = [self._apply(command) for command in commands]
        if self._mvcc.revision != before:
            self._written.append((self._mvcc.revision, index, term))
        return results

    def entry_of(self, revision: int) -> tuple[int, int] | None:
        """(Raft index, term) of the entry that made a revision; None unless it was applied here lately."""
        found: tuple[int, int] | None = None
        for newest, index, term in reversed(self._written):
            if newest < revision:
                return found
            found = index, term
        return None

    def begin_with(self, members: Iterable[MemberInfo]) -> None:
        """The members that a new cluster starts with; without effect if the state knows its members."""
        if not self.members:
            self.members.begin(members)

    def voting(self) -> Voting | None:
        members = self.members.all()
        if not members:
            return None
        learners = frozenset(member.id for member in members if member.is_learner)
        return Voting(frozenset(member.id for member in members) - learners, learners)

    def about_members(self) -> object:
        members = msgspec.to_builtins(self.members.all(), builtin_types=(bytes,))
        return {"cluster_id": self._cluster_id, "members": members}

    def peers(self) -> dict[int, Peer]:
        """By what the members are said to be; `addresses`, given at the start, come first."""
        found = {}
        for member in self.members.all():
            host, port = self._addresses.get(member.id) or address(member.peer_urls[0])
            found[member.id] = Peer(member.name, host, port)
        return found

    def former(self) -> Collection[int]:
        return self.members.removed

    def flush(self) -> None:
        events, self._events = self._events, []
        if events or self.hub.published != self._mvcc.revision:
            self.hub.publish(events)
        self._reclaim()
        if self._uncommitted and self._is_commit_due():
            self.commit()

    def _reclaim(self) -> None:
        """A slice of compacted space, and more of them the longer nothing else was to be done."""
        now, before = self._clock(), self._flushed_at
        self._flushed_at = now
        deadline = now + _COMPACTION_SHARE * min(now - before, _COMMIT_INTERVAL)
        while self._compactor.done < self._mvcc.compact_revision:
            self._compactor.step(self._mvcc.compact_revision, _COMPACTION_SLICE)
            self._uncommitted += _COMPACTION_SLICE * _COMPACTION_WEIGHT
            if self._clock() >= deadline or self._uncommitted >= _COMMIT_COMMANDS:
                return

    def _is_commit_due(self) -> bool:
        return self._uncommitted >= _COMMIT_COMMANDS or self._clock() - self._committed_at >= _COMMIT_INTERVAL

    def commit(self) -> None:
        """Bring all that is applied to disk now; a `write_snapshot` that follows has it."""
        self._backend.commit(self._parts.stored(self._index, self._term))
        self._used = self._backend.size_in_use()
        self._uncommitted = 0
        self._committed_at = self._clock()

    def save(self) -> None:
        self.commit()
        self._backend.sync()

    def write_snapshot(self, path: Path) -> SnapshotMeta:
        """Copy the state of the last commit into a snapshot file. In a thread, beside everything else."""
        return backup.write(path, self._backend.copy, self._cluster_id)

    def prepare_snapshot(self, path: Path) -> Prepared:
        """In a thread. Raises `SnapshotCorrupt`, `ClusterIDMismatch`."""
        return prepare(path, self._path, self._cluster_id, self._replace)

    def _replace(self, data: Path, keys: Keys) -> None:
        """Watches go on from the new history."""
        self._backend.close()
        backup.put_in_place(data, self._path)
        self._load(keys)
        self.hub.reset(self._mvcc)

    def close(self) -> None:
        self.save()
        self._backend.close()

    # Commands.

    def _apply(self, data: bytes) -> object:
        command = decode(data)
        if isinstance(command, StoreError):
            return command
        try:
            result = self._applier.run(command, self._index, self._clock())
        except StoreError as error:
            return error.with_traceback(None)  # which would keep every frame of the call alive
        finally:
            self._events += self._mvcc.end()
        return self._with_header(result)

    # Reads: of all that is applied, committed to disk or not. They raise `StoreError`.

    def revision(self) -> int:
        return self._mvcc.revision

    def compact_revision(self) -> int:
        return self._mvcc.compact_revision

    def header(self, revision: int = 0) -> ResponseHeader:
        """A header of this member, at the current revision unless another is given."""
        return ResponseHeader(self._cluster_id, self._member_id, revision or self._mvcc.revision, self._term)

    def range(self, request: RangeRequest, who: Credentials | None = None) -> RangeResponse:
        check(request)
        self._applier.access.check(request, who)
        return self._with_header(self._mvcc.range(request))

    def read_txn(self, request: TxnRequest, who: Credentials | None = None) -> TxnResponse:
        """A transaction that cannot write (`kvstore.txn.is_read_only`)."""
        self._applier.access.check(request, who)
        if not is_read_only(request):
            raise InvalidArgument("etcdserver: a transaction that may write must go through the log")
        result = self._applier.executor.run(request)
        assert isinstance(result, TxnResponse)
        return self._with_header(result)

    def check(self, request: CommandRequest) -> None:
        """Raise what would be refused anyway, so that it need not be proposed."""
        if isinstance(request, PutRequest | DeleteRangeRequest | TxnRequest):
            check(request, self._max_txn_ops)
        if self._applier.alarms:
            self._applier.check_alarms(request)
        if self._used > self._space.quota:  # the alarm is on its way
            self._applier.check_space(request)

    def lease_time_to_live(
        self, request: LeaseTimeToLiveRequest, who: Credentials | None = None
    ) -> LeaseTimeToLiveResponse:
        self._applier.access.check(request, who)
        lease = self._lessor.get(request.id)
        if lease is None:
            return LeaseTimeToLiveResponse(self.header(), request.id, -1)
        left = max(0, int(lease.deadline - self._clock()))
        keys = tuple(self._lessor.keys(lease.id)) if request.keys else ()
        return LeaseTimeToLiveResponse(self.header(), lease.id, left, lease.ttl, keys)

    def leases(self) -> LeaseLeasesResponse:
        return LeaseLeasesResponse(self.header(), tuple(self._lessor.ids()))

    def alarms(self, type_: AlarmType = AlarmType.NONE) -> AlarmResponse:
        """The active alarms, of one type or of all."""
        wanted = (alarm for alarm in self._applier.alarms if type_ in (AlarmType.NONE, alarm.alarm))
        return AlarmResponse(self.header(), tuple(sorted(wanted, key=lambda a: (a.member_id, a.alarm))))

    @property
    def access(self) -> Access:
        """Who may do what, as of what is applied."""
        return self._applier.access

    @property
    def auth(self) -> AuthStore:
        return self._parts.auth

    def auth_query(self, request: AuthQuery, who: Credentials | None = None) -> AuthAnswer:
        self._applier.access.check(request, who)
        return self._with_header(self._parts.auth.answer(request))

    def token_user(self, token: str) -> str | None:
        """The user whom this member knows by the token."""
        return self._parts.tokens.user(token, self._clock())

    def hash_kv(self, revision: int = 0) -> Callable[[], HashKVResponse]:
        """For a thread: the hash is the same on every member that has applied `revision` (0: the latest)
        and compacted alike. Raises what is wrong with the revision at once, `Stopped` in the thread."""
        self._mvcc.check_revision(revision)
        at = revision if revision > 0 else self._mvcc.revision
        header, compact_revision = self.header(), self._mvcc.compact_revision
        run = self._hasher(at, compact_revision)
        return lambda: HashKVResponse(header, run(), compact_revision, at)

    def hash_due(self) -> tuple[int, Callable[[], int]] | None:
        """The Raft index of a check of all members' data, and how to hash this one's, in a thread."""
        comparison = self._applier.comparison
        point = comparison.point
        if point is None or comparison.is_hashed:
            return None
        comparison.is_hashed = True
        if point.compact_revision != self._mvcc.compact_revision:
            return None  # what was there at that point is not any more; the next check will do
        return point.at, self._hasher(point.revision, point.compact_revision)

    def _hasher(self, revision: int, compact_revision: int) -> Callable[[], int]:
        self.commit()
        reclaimed, view = self._compactor.done, self._backend.view_history()

        def run() -> int:
            try:
                return hash_kv(view.scan, revision, compact_revision, reclaimed)
            finally:
                view.end()

        return run

    @property
    def comparison(self) -> Comparison:
        """The check of all members' data that is under way."""
        return self._applier.comparison

    def size(self) -> int:
        return self._backend.size()

    def size_in_use(self) -> int:
        return self._backend.size_in_use()

    def figures(self) -> telemetry.Figures:
        return telemetry.Figures(len(self._mvcc.live), *self.hub.counts())

    def quota(self) -> int:
        return self._space.quota

    def is_compacting(self) -> bool:
        """Whether space of compacted revisions is still being reclaimed."""
        return self._compactor.done < self._mvcc.compact_revision

    # What this member should propose.

    def promote(self) -> None:
        """This member became leader."""
        self._lessor.promote(self._clock())

    def housekeeping(self, *, is_leader: bool) -> list[bytes]:
        """Commands to propose now, asked about twice a second: ends of leases, this member's space alarm."""
        self._used = self._backend.size_in_use()
        alarms, own = self._applier.alarms, self._applier.own_alarms
        proposals: list[CommandRequest] = list(self._space.requests(self._used, alarms, own))
        if is_leader:
            proposals += expired_leases(self._lessor, self._clock())
        return [encode(Command(request)) for request in proposals]

    def _with_header(self, result: Outcome) -> Outcome:
        """The result's own revision, if it has one, under this member's name."""
        header: ResponseHeader = getattr(result, "header")  # noqa: B009
        if isinstance(result, PutResponse):  # by far the most frequent
            return PutResponse(self.header(header.revision), result.prev_kv)  # type: ignore[return-value]
        return msgspec.structs.replace(result, header=self.header(header.revision))
