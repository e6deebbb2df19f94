"""What a member is told at its start (`kvstore.member`), and what the Raft engine is told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from kvstore.auth.passwords import COST
from kvstore.auth.tokens import TTL
from kvstore.membership import address
from kvstore.raft.config import Peer, RaftConfig, TlsFiles
from kvstore.raft.identity import Identity
from kvstore.statemachine import DEFAULT_QUOTA
from kvstore.txn import MAX_OPS
from kvstore.types import MemberInfo
from kvstore.watch.stream import PROGRESS_INTERVAL

VERSION = "3.6.0"
"""The etcd version whose API and behaviour the store follows."""


@dataclass(frozen=True)
class MemberConfig:
    """Times in seconds, sizes in bytes. `initial_cluster`: name -> (host, port) of every member.

    `corrupt_check_time`: how often the leader has the members' data compared; 0 is never.
    `cluster_token` tells clusters with the same member names apart; every incarnation needs its own.
    `joins`: at its first start the member asks the others who it is (it was added with `member_add`).
    `follows_state`: as etcd, what a data directory knows of the members and their addresses comes before
    `initial_cluster`, which then only counts at the first start; without it, `initial_cluster` has the present
    addresses of the members that it names. `force_new_cluster`: with this member's data begin a cluster of one;
    for when a majority is lost for good. What the others acknowledged without this one is lost. `dial_from`: the
    address that connections to peers leave from; empty: the kernel's choice.
    """

    name: str
    data_dir: Path
    initial_cluster: dict[str, tuple[str, int]]
    listen: tuple[str, int] = ("127.0.0.1", 0)
    cluster_token: str = "etcd-cluster"
    tls: TlsFiles | None = None
    quota_bytes: int = DEFAULT_QUOTA
    heartbeat_interval: float = 0.1
    election_timeout: float = 1.0
    unsafe_no_fsync: bool = False
    max_request_bytes: int = 1_572_864
    snapshot_count: int = 5000
    corrupt_check_time: float = 0.0
    max_txn_ops: int = MAX_OPS
    client_urls: tuple[str, ...] = ()
    auth_token_ttl: float = TTL
    bcrypt_cost: int = COST
    watch_progress_interval: float = PROGRESS_INTERVAL
    joins: bool = False
    follows_state: bool = False
    force_new_cluster: bool = False
    dial_from: str = ""

    @property
    def request_timeout(self) -> float:
        """As etcd: five seconds and two elections."""
        return 5.0 + 2 * self.election_timeout


def raft_config(
    config: MemberConfig,
    mine: Identity,
    members: Collection[MemberInfo],
    *,
    removed: frozenset[int],
    blank: bool,
    given: Mapping[int, tuple[str, int]],
) -> RaftConfig:
    """`given`: addresses of members that come before those they are said to have."""
    return RaftConfig(
        member_id=mine.member_id,
        name=config.name,
        cluster_id=mine.cluster_id,
        data_dir=config.data_dir,
        listen=config.listen,
        peers={m.id: Peer(m.name, *(given.get(m.id) or address(m.peer_urls[0]))) for m in members},
        tls=config.tls,
        heartbeat_interval=config.heartbeat_interval,
        election_timeout=config.election_timeout,
        unsafe_no_fsync=config.unsafe_no_fsync,
        max_request_bytes=config.max_request_bytes,
        snapshot_count=config.snapshot_count,
        first_start=mine.first_start,
        learners=frozenset(m.id for m in members if m.is_learner),
        blank=blank,
        listen_alone=config.follows_state,
        removed=removed,
        force_new=config.force_new_cluster,
        dial_from=config.dial_from,
    )
