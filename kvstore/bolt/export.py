"""The applied state as a file of etcd's: what `Maintenance/Snapshot` sends and any etcd restores.

    LMDB (kvstore.backend)                   bbolt, buckets of etcd's schema
    history: revision -> record              key: revision (17 bytes, 18 for a tombstone) -> mvccpb.KeyValue
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
from kvstore.bolt.proto import SHORT, TWO, int64, integers, varint
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

    def table(self, name: str, start: bytes = b"", end: bytes = b"") -> Items:
        """Items of [start, end) in key order; nothing for a table that is not there; `end` b"" is no bound."""


class Share(NamedTuple):
    """Records from `start` on are somebody else's work: `pages()` waits for the leaf pages of them."""

    start: bytes
    pages: Callable[[], IO[bytes]]


def write(file: IO[bytes], source: Source, members: Iterable[MemberInfo], share: Share | None = None) -> int:
    """Write the database into an empty file; its size, which is a multiple of 4096."""
    state = source.state
    everyone = sorted(members, key=lambda member: member.id)
    out = FileWriter(file)
    if share:
        first = source.table("history", end=share.start)
        out.bucket_of_cells(b"key", key_cells(first, 0), share.pages)
    else:
        out.bucket_of_cells(b"key", key_cells(source.table("history"), state.revision))
    out.bucket(b"lease", _leases(source.table("leases")))
    out.bucket(b"meta", _meta(state, everyone))
    out.bucket(b"alarm", sorted((integers((1, member), (2, kind)), b"") for member, kind in state.alarms))
    out.bucket(b"members", sorted((b"%x" % member.id, _member(member)) for member in everyone))
    out.bucket(b"cluster", [(b"clusterVersion", CLUSTER_VERSION)])
    out.bucket(b"members_removed", sorted((b"%x" % id_, b"removed") for id_ in state.removed_members))
    for name, bucket in users.buckets_of(source.table("auth")).items():
        out.bucket(name, bucket)
    return out.finish()


def key_cells(history: Items, revision: int) -> Iterator[Cell]:
    """Records of the key bucket. If the store's revision has no record, one without content stands for it,
    as `etcdutl snapshot restore --bump-revision` writes it."""
    main, number, prefix, mod, same = b"", 1, b"", b"", b""
    unpack, head, join = record.HEAD.unpack_from, record.HEAD_SIZE, b"".join
    for at, data in history:
        if not at.startswith(main) or not main:
            main = at[:8]
            number = int.from_bytes(main, "big")
            mod = varint(number)
            prefix, same = main + b"_\0\0\0\0", b"\x10%b\x18%b " % (mod, mod)
        create, version, lease, _, size = unpack(data)
        end = head + size
        key_size = SHORT[size] if size < TWO else varint(size)
        if not version:
            yield 18, join((prefix, at[8:], b"t\n", key_size, data[head:end]))
            continue
        revisions = same if create == number else b"\x10%b\x18%b " % (varint(create), mod)
        versions = SHORT[version] if version < TWO else varint(version)
        left = len(data) - end
        if left and not lease:
            value_size = SHORT[left] if left < TWO else varint(left)
            yield (
                17,
                join(
                    (
                        prefix,
                        at[8:],
                        b"\n",
                        key_size,
                        data[head:end],
                        revisions,
                        versions,
                        b"*",
                        value_size,
                        data[end:],
                    )
                ),
            )
            continue
        value = b"*" + varint(left) + data[end:] if left else b""
        hold = b"0" + int64(lease) if lease else b""
        yield 17, join((prefix, at[8:], b"\n", key_size, data[head:end], revisions, versions, value, hold))
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
