"""What an engine must be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    name: str
    host: str
    port: int


class Voting(NamedTuple):
    """The members as Raft sees them: voters make up the quorum, learners only receive."""

    voters: frozenset[int]
    learners: frozenset[int] = frozenset()


class TlsFiles(NamedTuple):
    """PEM files. The certificate serves both directions: client and server authentication."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True)
class RaftConfig:
    """Times in seconds, sizes in bytes. `peers` are all members, this one may be among them.

    `snapshot_count` applied entries are kept for members that lag; one that lags more gets a snapshot.
    `first_start`: (index, term) at which a data directory without a log must stand. `learners` is a part of
    `peers`, and may hold this member. `blank`: this member joined a running cluster and has nothing of its own,
    not even the state that the others began with: it needs a snapshot before any entry. `force_new`: changes of
    members that the log still holds do not count any more. `listen_alone`: a member without others listens, too,
    for those that may join. `removed`: ids of those that are no members any more, who are told so. `dial_from`: the
    address that connections to peers leave from; empty: the kernel's choice.
    """

    member_id: int
    name: str
    cluster_id: int
    data_dir: Path
    listen: tuple[str, int]
    peers: dict[int, Peer] = field(default_factory=dict)
    tls: TlsFiles | None = None
    heartbeat_interval: float = 0.1
    election_timeout: float = 1.0
    unsafe_no_fsync: bool = False
    max_request_bytes: int = 1_572_864
    snapshot_count: int = 5000
    first_start: tuple[int, int] = (0, 0)
    learners: frozenset[int] = frozenset()
    blank: bool = False
    pre_vote: bool = True
    listen_alone: bool = False
    removed: frozenset[int] = frozenset()
    force_new: bool = False
    dial_from: str = ""

    @property
    def other_ids(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.peers) - {self.member_id}))

    @property
    def voting(self) -> Voting:
        return Voting(frozenset(self.peers) - self.learners, self.learners)

    @property
    def max_entry_bytes(self) -> int:
        """Of one Raft entry: many small commands, or one of the largest size."""
        return max(1 << 20, self.max_request_bytes) + (64 << 10)
