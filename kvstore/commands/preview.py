"""`kvstore snapshot restore --preview`: what would become of a running cluster's keys.

The live keys are read in pages at one revision and compared with the snapshot's: a key *vanishes* if only
the cluster has it, *returns* if only the snapshot has it, and *changes* if both have it with other values.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from kvstore.bolt.contents import Contents, contents, digest
from kvstore.bolt.reader import BoltFile
from kvstore.bolt.restore import verified
from kvstore.commands.connection import Connection, Target, connected_to_any
from kvstore.commands.tables import table
from kvstore.errors import ClusterIDMismatch
from kvstore.rpc.proto import kv_pb2, rpc_pb2

_PAGE = 1000
_KINDS = ("vanish", "change", "return")


class Preview(NamedTuple):
    """`counts`: (prefix, kind) -> number of keys; `age` in seconds since the file was written."""

    snapshot_revision: int
    live_revision: int
    age: float
    unchanged: int
    counts: Counter[tuple[str, str]]


async def show(file: Path, target: Target, depth: int, write_out: str, *, other_cluster: bool) -> None:
    """Print the comparison. Raises `ClusterIDMismatch` for a snapshot of a cluster with other members."""
    with BoltFile(file) as source:
        verified(source, skip_hash_check=False)
        snapshot = contents(source)
    age = max(0.0, time.time() - os.stat(file).st_mtime)
    async with connected_to_any(target) as connection:
        if not other_cluster:
            await _require_same_cluster(file, snapshot, connection)
        found = await compare(snapshot, connection, depth, age)
    print(_as_json(found) if write_out == "json" else _as_text(found))


async def compare(snapshot: Contents, connection: Connection, depth: int, age: float) -> Preview:
    """Uses up `snapshot.keys`."""
    counts: Counter[tuple[str, str]] = Counter()
    unchanged = 0
    live_revision = 1
    async for revision, kvs in _live(connection):
        live_revision = revision
        for kv in kvs:
            old = snapshot.keys.pop(kv.key, None)
            if old is not None and old == digest(kv.value):
                unchanged += 1
                continue
            counts[prefix_of(kv.key, depth), "vanish" if old is None else "change"] += 1
    for key in snapshot.keys:
        counts[prefix_of(key, depth), "return"] += 1
    return Preview(snapshot.revision, live_revision, age, unchanged, counts)


def prefix_of(key: bytes, depth: int) -> str:
    """Up to the separator `depth` parts in: with 2, "/registry/pods/a/b" is below "/registry/pods/"."""
    text = key.decode(errors="backslashreplace")
    lead = "/" if text.startswith("/") else ""
    parts = text[len(lead) :].split("/")
    kept = parts[: min(depth, len(parts) - 1)]
    return lead + "".join(part + "/" for part in kept)


async def _live(connection: Connection) -> AsyncIterator[tuple[int, list[kv_pb2.KeyValue]]]:
    """Pages of all keys, with the revision that all of them are of."""
    request = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0", limit=_PAGE)
    while True:
        reply = await connection.call("etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)
        request.revision = request.revision or reply.header.revision
        kvs = list(reply.kvs)
        yield request.revision, kvs
        if not reply.more or not kvs:
            return
        request.key = kvs[-1].key + b"\0"


async def _require_same_cluster(file: Path, snapshot: Contents, connection: Connection) -> None:
    request = rpc_pb2.MemberListRequest()
    reply = await connection.call("etcdserverpb.Cluster/MemberList", request, rpc_pb2.MemberListResponse)
    live = {member.ID for member in reply.members}
    if snapshot.members and not snapshot.members & live:
        raise ClusterIDMismatch(
            f"{file}: a snapshot of another cluster than the one at {connection.endpoint};"
            " compare with its own, or add --other-cluster"
        )


def _rows(found: Preview) -> list[tuple[str, list[int]]]:
    prefixes = sorted({prefix for prefix, _ in found.counts})
    return [(prefix, [found.counts[prefix, kind] for kind in _KINDS]) for prefix in prefixes]


def _as_json(found: Preview) -> str:
    rows = [{"prefix": prefix, **dict(zip(_KINDS, counts, strict=True))} for prefix, counts in _rows(found)]
    return json.dumps(
        {
            "snapshotRevision": found.snapshot_revision,
            "liveRevision": found.live_revision,
            "ageSeconds": int(found.age),
            "unchanged": found.unchanged,
            "prefixes": rows,
        }
    )


def _as_text(found: Preview) -> str:
    behind = found.live_revision - found.snapshot_revision
    lines = [
        f"snapshot: revision {found.snapshot_revision}, saved {_ago(found.age)} ago",
        f"cluster:  revision {found.live_revision} ({behind:+d})",
        f"{found.unchanged} keys stay as they are",
    ]
    rows = [[prefix or "(no prefix)", *map(str, counts)] for prefix, counts in _rows(found)]
    return "\n".join([*lines, table(["prefix", *_KINDS], rows)] if rows else lines)


def _ago(age: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if age >= 2 * size:
            return f"{age / size:.0f} {unit}"
    return f"{age:.0f} seconds"
