"""The parts of one member's applied state, made from its database: data, leases, users, members, alarms.

Made by `kvstore.statemachine` at the start and whenever a snapshot replaces everything; says in turn what of
them, beside the tables, belongs into a commit. Refuses a database that cannot be this member's.
"""

from __future__ import annotations

from kvstore.applier import Applier
from kvstore.auth.store import AuthStore
from kvstore.auth.tokens import Tokens
from kvstore.backend import LmdbBackend, StoredState
from kvstore.errors import DataCorrupt
from kvstore.lease import Lessor
from kvstore.membership import Members
from kvstore.mvcc.compaction import Compactor
from kvstore.mvcc.store import Keys, Mvcc
from kvstore.types import AlarmMember, AlarmType


class Parts:
    """`cluster_id`: the database is refused if it is known to be of another; `now` on the clock of leases."""

    def __init__(
        self,
        backend: LmdbBackend,
        *,
        cluster_id: int,
        now: float,
        min_lease_ttl: int,
        token_ttl: float,
        max_txn_ops: int,
        keys: Keys | None = None,
    ) -> None:
        state = backend.state
        self._cluster_id = cluster_id
        _require_cluster(backend, cluster_id)
        self.mvcc = Mvcc(backend, state.revision, state.compact_revision, keys)
        _require_whole(backend, self.mvcc)
        self.compactor = Compactor(backend, self.mvcc.deleted, state.compacted)
        self.lessor = Lessor(backend, now, min_lease_ttl)
        self.auth = AuthStore(backend.auth)
        self.tokens = Tokens(token_ttl)
        self.members = Members(state.members, state.removed_members)
        self.applier = Applier(
            self.mvcc,
            self.lessor,
            self.auth,
            self.tokens,
            self.members,
            _alarms(state.alarms),
            _alarms(state.own_alarms),
            max_txn_ops,
        )

    def stored(self, index: int, term: int) -> StoredState:
        """What goes into a commit at that Raft position."""
        return StoredState(
            index,
            term,
            self.mvcc.revision,
            self.mvcc.compact_revision,
            self.compactor.done,
            _packed(self.applier.alarms),
            _packed(self.applier.own_alarms),
            self.members.all(),
            tuple(sorted(self.members.removed)),
            self._cluster_id,
        )


def _require_cluster(backend: LmdbBackend, cluster_id: int) -> None:
    found = backend.state.cluster_id
    if found not in (0, cluster_id):
        raise DataCorrupt(
            f"{backend.path}: holds data of cluster {found:x}, this member belongs to {cluster_id:x}: put the member's"
            " own database back, or delete its data directory and let it rejoin; to start a new cluster from other"
            " data, restore a snapshot"
        )


def _require_whole(backend: LmdbBackend, mvcc: Mvcc) -> None:
    if mvcc.last_recorded > mvcc.revision:
        raise DataCorrupt(
            f"{backend.path}: holds changes up to revision {mvcc.last_recorded}, but says that it ends at"
            f" {mvcc.revision}: delete the member's data directory and let it rejoin, or restore a snapshot"
        )


def _alarms(stored: tuple[tuple[int, int], ...]) -> set[AlarmMember]:
    return {AlarmMember(member, AlarmType(alarm)) for member, alarm in stored}


def _packed(alarms: set[AlarmMember]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((alarm.member_id, int(alarm.alarm)) for alarm in alarms))
