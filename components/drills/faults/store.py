"""What etcd's own API can do to a store: move the leadership, throw history away. Works on any etcd."""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack

import grpc
import grpc.aio

from components.cluster.errors import ClusterError
from components.drills.faults.field import Field
from components.drills.recording.recorder import Endpoint
from components.drills.schedule import Planned
from kvstore.rpc.proto import rpc_pb2

SECONDS = 3.0


async def move_leader(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """There is nothing to undo: any member may lead."""
    found = await statuses(field.site.store)
    leader = next((s for s in found if s[1].leader == s[1].header.member_id), None)
    if leader is None or len(found) < 2:
        raise ClusterError(
            "the leadership cannot move: there is no leader, or nobody else", "look at the store"
        )
    target = field.dice.choice([s for s in found if s is not leader])
    request = rpc_pb2.MoveLeaderRequest(targetID=target[1].header.member_id)
    with contextlib.suppress(
        grpc.aio.AioRpcError
    ):  # an election may have been quicker: the verdict counts it
        path = "/etcdserverpb.Maintenance/MoveLeader"
        await leader[0].unary(path, request, rpc_pb2.MoveLeaderResponse, SECONDS)
    await field.during(planned, f"the leadership moves from {leader[0].address} to {target[0].address}")


async def compact(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    """There is nothing to undo: what is compacted is gone, and nobody needs it."""
    revision = max((s[1].header.revision for s in await statuses(field.site.store)), default=0)
    request = rpc_pb2.CompactionRequest(revision=revision)
    for endpoint in field.site.store:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await endpoint.unary("/etcdserverpb.KV/Compact", request, rpc_pb2.CompactionResponse, SECONDS)
            break
    await field.during(planned, f"history up to revision {revision} is thrown away")


async def statuses(endpoints: list[Endpoint]) -> list[tuple[Endpoint, rpc_pb2.StatusResponse]]:
    """Of the members that answer."""
    found = []
    for endpoint in endpoints:
        with contextlib.suppress(grpc.aio.AioRpcError):
            path = "/etcdserverpb.Maintenance/Status"
            answer = await endpoint.unary(path, rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse, SECONDS)
            found.append((endpoint, answer))
    return found
