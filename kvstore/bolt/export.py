"""The applied state as a file of etcd's: what `Maintenance/Snapshot` sends and any etcd restores.

    LMDB (kvstore.backend)                   bbolt, buckets of etcd's schema
    history: revision -> record              key: revision (17 bytes, 18 for a tombstone) -> mvccpb.KeyValue
    leases: id -> ttl                        lease: id -> leasepb.Lease
    state: index, term, compaction, alarms   meta, alarm
    members, told by the caller              members, members_removed, cluster, and confState in meta

Runs in a process of its own beside the member (`kvstore.bolt.stream`), which it must not hold up: a read
transaction sees the last commit, whatever is written meanwhile. What compaction has not reclaimed yet goes
along, as in etcd, with `scheduledCompactRev`, from which an etcd goes on with it.

Source of the schema: etcd's server/storage/schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Protocol

from kvstore.backend import StoredState
from kvstore.bolt.proto import integers, put_tail, varint
from kvstore.bolt.writer import Cell, FileWriter
from kvstore.mvcc import record
from kvstore.types import MemberInfo

Items = Iterable[tuple[bytes, bytes]]

STORAGE_VERSION = b"3.6.0"
CLUSTER_VERSION = b"3.6.0"


class Source(Protocol):
    """One consistent view of a member's tables."""

    @property
    def state(self) -> StoredState: ...

    def table(self, name: str) -> Items:
        """All items in key order; nothing for a table that is not there."""


def write(file: IO[bytes], source: Source, members: Iterable[MemberInfo]) -> int:
    """Write the database into an empty file; its size, which is a multiple of 4096."""
    state = source.state
    everyone = sorted(members, key=lambda member: member.id)
    out = FileWriter(file)
    out.bucket_of_cells(b"key", key_cells(source.table("history"), state.revision))
    out.bucket(b"lease", _leases(source.table("leases")))
    out.bucket(b"meta", _meta(state, everyone))
    out.bucket(b"alarm", sorted((integers((1, member), (2, kind)), b"") for member, kind in state.alarms))
    out.bucket(b"members", sorted((b"%x" % member.id, _member(member)) for member in everyone))
    out.bucket(b"cluster", [(b"clusterVersion", CLUSTER_VERSION)])
    for name in (b"members_removed", b"auth", b"authUsers", b"authRoles"):
        out.bucket(name, [])
    return out.finish()


def key_cells(history: Items, revision: int) -> Iterator[Cell]:
    """Records of the key bucket. If the store's revision has no record, one without content stands for it,
    as `etcdutl snapshot restore --bump-revision` writes it."""
    main, number, prefix, mod = b"", 1, b"", b""
    unpack, head = record.HEAD.unpack_from, record.HEAD_SIZE
    for at, data in history:
        if at[:8] != main:
            main = at[:8]
            number = int.from_bytes(main, "big")
            prefix, mod = main + b"_\0\0\0\0", varint(number)
        create, version, lease, _, key_size = unpack(data)
        end = head + key_size
        key = data[head:end]
        if not version:
            yield 18, b"%b%bt\n%b%b" % (prefix, at[8:], varint(key_size), key)
            continue
        created = mod if create == number else varint(create)
        tail = put_tail(created, mod, varint(version), data[end:], lease)
        yield 17, b"%b%b\n%b%b%b" % (prefix, at[8:], varint(key_size), key, tail)
    if number < revision:
        yield 17, revision_key(revision, 0)


def revision_key(main: int, sub: int) -> bytes:
    return main.to_bytes(8, "big") + b"_" + sub.to_bytes(8, "big")


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
