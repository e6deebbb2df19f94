"""Members come and go under load."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from kvstore.rpc.proto import rpc_pb2
from tests.robustness.harness.cluster import MemberProcess, url
from tests.robustness.harness.faults import Fault, Field

PATIENCE = 15.0
"""Seconds in which a change of the members has to succeed once the cluster has a leader."""


class ReplaceMember(Fault):
    """One member is removed, dead or alive, and a new one with an empty directory takes its place."""

    name = "replace-member"

    async def inject(self, field: Field) -> None:
        if len(field.cluster.present) < 3:
            return
        member = await field.anybody()
        number = await _id(field, member)
        if number is None:
            return
        if field.rng.random() < 0.5:
            field.cluster.kill(member)
        remove = rpc_pb2.MemberRemoveRequest(ID=number)
        await _change(field, member, "MemberRemove", remove, rpc_pb2.MemberRemoveResponse, _without(number))
        member.removed = True
        field.cluster.kill(member)
        await self._add(field)

    async def _add(self, field: Field) -> None:
        new = await field.cluster.add()
        learner = field.rng.random() < 0.5
        add = rpc_pb2.MemberAddRequest(peerURLs=[url(new)], isLearner=learner)
        await _change(field, new, "MemberAdd", add, rpc_pb2.MemberAddResponse, _with(url(new)))
        field.cluster.start(new, "existing")
        if learner:
            members = await _members(field, new)
            number = next(m.ID for m in members if url(new) in m.peerURLs)
            promote = rpc_pb2.MemberPromoteRequest(ID=number)
            await _change(field, new, "MemberPromote", promote, rpc_pb2.MemberPromoteResponse, _votes(number))


async def _id(field: Field, member: MemberProcess) -> int | None:
    try:
        number: int = (await field.cluster.status(member)).header.member_id
    except grpc.aio.AioRpcError:
        return None
    return number


async def _change(
    field: Field, besides: MemberProcess, method: str, request: Any, kind: Any, done: Any
) -> None:
    """Asks until it is done; an answer that got lost does not matter. Raises `AssertionError`."""
    said = ""
    end = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < end:
        try:
            await _endpoint(field, besides).unary(f"/etcdserverpb.Cluster/{method}", request, kind, 3.0)
            return
        except grpc.aio.AioRpcError as error:
            said = error.details() or str(error.code())
        if done(await _members(field, besides)):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{method} was not done in {PATIENCE:.0f} s: {said}")


async def _members(field: Field, besides: MemberProcess) -> list[Any]:
    end = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            request = rpc_pb2.MemberListRequest(linearizable=True)
            path = "/etcdserverpb.Cluster/MemberList"
            answer = await _endpoint(field, besides).unary(path, request, rpc_pb2.MemberListResponse, 3.0)
            return list(answer.members)
        except grpc.aio.AioRpcError as error:
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"the members cannot be listed: {error.details()}") from error
            await asyncio.sleep(0.2)


def _endpoint(field: Field, besides: MemberProcess) -> Any:
    others = [m for m in field.cluster.present if m is not besides]
    return field.cluster.endpoints[field.cluster.members.index(field.rng.choice(others))]


def _without(number: int) -> Any:
    return lambda members: number not in {m.ID for m in members}


def _with(address: str) -> Any:
    return lambda members: any(address in m.peerURLs for m in members)


def _votes(number: int) -> Any:
    return lambda members: any(number == m.ID and not m.isLearner for m in members)
