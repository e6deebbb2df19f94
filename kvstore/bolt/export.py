"""The applied state as a file of etcd's: what `Maintenance/Snapshot` sends and any etcd restores.

    LMDB (kvstore.backend)                   bbolt, buckets of etcd's schema
    history: revision -> record              key: revision -> mvccpb.KeyValue (kvstore.bolt.records)
    leases: id -> ttl                        lease: id -> leasepb.Lease
    state: index, term, compaction, alarms   meta, alarm
    auth: users and roles                    auth, authUsers, authRoles (kvstore.bolt.users)
    members, as told by the caller           members, and confState in meta
    state: members that were removed         members_removed

Runs in a process of its own beside the member (`kvstore.bolt.stream`), which it must not hold up: a read
transaction sees the last commit, whatever is written meanwhile. What compaction has not reclaimed yet goes
along, as in etcd, with `scheduledCompactRev`, from which an etcd goes on with it.

Source of the schema: etcd's server/storage/schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple, Protocol

from kvstore.backend import StoredState
from kvstore.bolt import users
from kvstore.bolt.proto import integers
from kvstore.bolt.records import Items, leaves, revision_key
from kvstore.bolt.writer import Child, FileWriter
from kvstore.types import MemberInfo

STORAGE_VERSION = b"3.6.0"
CLUSTER_VERSION = b"3.6.0"


class Source(Protocol):
    """One consistent view of a member's tables."""

    @property
    def state(self) -> StoredState: ...

    def table(self, name: str, start: bytes = b"", end: bytes = b"") -> Items:
        """Items of [start, end) in key order; nothing for a table that is not there; `end` b"" is no bound."""


class Share(NamedTuple):
    """Records from `start` on are somebody else's work, who may write into the file once `begin()` is called; what that
    returns waits until leaf pages of them are there."""

    start: bytes
    begin: Callable[[], Callable[[], list[Child]]]


def write(file: IO[bytes], source: Source, members: Iterable[MemberInfo], share: Share | None = None) -> int:
    """Write the database into an empty file; its size, which is a multiple of 4096."""
    state = source.state
    everyone = sorted(members, key=lambda member: member.id)
    out = FileWriter(file)
    if share:
        pages = share.begin()  # not before: the first pages of the file are taken now
        out.bucket_of_leaves(b"key", leaves(source.table("history", end=share.start), 0), pages)
    else:
        out.bucket_of_leaves(b"key", leaves(source.table("history"), state.revision))
    out.bucket(b"lease", _leases(source.table("leases")))
    out.bucket(b"meta", _meta(state, everyone))
    out.bucket(b"alarm", sorted((integers((1, member), (2, kind)), b"") for member, kind in state.alarms))
    out.bucket(b"members", sorted((b"%x" % member.id, _member(member)) for member in everyone))
    out.bucket(b"cluster", [(b"clusterVersion", CLUSTER_VERSION)])
    out.bucket(b"members_removed", sorted((b"%x" % id_, b"removed") for id_ in state.removed_members))
    for name, bucket in users.buckets_of(source.table("auth")).items():
        out.bucket(name, bucket)
    return out.finish()


def _leases(leases: Items) -> Iterator[tuple[bytes, bytes]]:
    for key, terms in leases:
        yield key, integers((1, int.from_bytes(key, "big")), (2, int.from_bytes(terms[:8], "little")))


def _meta(state: StoredState, members: list[MemberInfo]) -> list[tuple[bytes, bytes]]:
    items = {
        b"consistent_index": state.index.to_bytes(8, "big"),
        b"term": state.term.to_bytes(8, "big"),
        b"confState": _conf_state(members),
        b"storageVersion": STORAGE_VERSION,
    }
    if state.compact_revision:
        items[b"scheduledCompactRev"] = revision_key(state.compact_revision, 0)
    if state.compacted:
        items[b"finishedCompactRev"] = revision_key(state.compacted, 0)
    return sorted(items.items())


def _conf_state(members: list[MemberInfo]) -> bytes:
    content: dict[str, object] = {"voters": [member.id for member in members if not member.is_learner]}
    learners = [member.id for member in members if member.is_learner]
    if learners:
        content["learners"] = learners
    return _json(content | {"auto_leave": False})


def _member(member: MemberInfo) -> bytes:
    content: dict[str, object] = {"id": member.id, "peerURLs": list(member.peer_urls)}
    if member.is_learner:
        content["isLearner"] = True
    content |= {"name": member.name, "clientURLs": list(member.client_urls)}
    return _json(content)


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
