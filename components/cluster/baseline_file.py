"""Takes down what a cluster holds, and brings the store back to it; on a master, for its admin socket.

A baseline is a file, so that any master can go back to it. Every key is written by a transaction of its own: the
objects of one revision would be one event for watchers that are cut off in its middle.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import cbor2

from components.cluster import baseline
from components.cluster.baseline import ROOT, Change, Kept
from components.cluster.errors import ClusterError
from components.cluster.files import write_private
from kvstore.member import Member
from kvstore.types import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)

WHOLE_SECONDS = 20.0
_LOOK_SECONDS = 0.02
_ROUNDS = 10
_END = ROOT[:-1] + bytes([ROOT[-1] + 1])


async def mark(member: Member, path: Path) -> int:
    """Write what is there to `path`, once a new cluster is whole; the number of objects. Raises ClusterError."""
    deadline = asyncio.get_running_loop().time() + WHOLE_SECONDS
    found = await _everything(member)
    while left := baseline.unfinished(found):
        if asyncio.get_running_loop().time() > deadline:
            raise ClusterError(
                f"the cluster is not whole after {WHOLE_SECONDS:.0f} s: {', '.join(left[:3])}",
                "look at the logs of the masters",
            )
        await asyncio.sleep(_LOOK_SECONDS)
        found = await _everything(member)
    write_private(path, cbor2.dumps({key: list(kept) for key, kept in found.items()}))
    return len(found)


async def reset(member: Member, path: Path) -> int:
    """Bring everything back to what `path` holds; how many objects were changed. Raises ClusterError."""
    kept, changed = _read(path), 0
    for _ in range(_ROUNDS):
        changes = await _plan(member, kept)
        if not changes:
            return changed
        changed += sum(await asyncio.gather(*(_make(member, change) for change in changes)))
    names = ", ".join(change.key.decode() for change in changes[:3])
    raise ClusterError(f"others write faster than they can be put back: {names}", "end what writes there")


def _read(path: Path) -> dict[bytes, Kept]:
    try:
        return {key: Kept(*pair) for key, pair in cbor2.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ClusterError(f"{path}: no baseline: {error}", "mark one first") from error


async def _plan(member: Member, kept: dict[bytes, Kept]) -> list[Change]:
    listed = await member.range(RangeRequest(ROOT, _END, keys_only=True))
    revisions = {kv.key: kv.mod_revision for kv in listed.kvs}
    values = {}
    for key in baseline.differing(kept, revisions):
        for kv in (await member.range(RangeRequest(key, serializable=True))).kvs:
            values[key], revisions[key] = kv.value, kv.mod_revision
    return baseline.plan(kept, revisions, values)


async def _make(member: Member, change: Change) -> bool:
    unchanged = Compare(change.key, CompareTarget.MOD, mod_revision=change.expected)
    operation: RequestOp = DeleteRangeRequest(change.key)
    if change.value is not None:
        operation = PutRequest(change.key, change.value)
    return (await member.txn(TxnRequest((unchanged,), (operation,), ()))).succeeded


async def _everything(member: Member) -> dict[bytes, Kept]:
    listed = await member.range(RangeRequest(ROOT, _END))
    return {kv.key: Kept(kv.mod_revision, kv.value) for kv in listed.kvs}
