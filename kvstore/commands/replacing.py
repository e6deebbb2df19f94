"""`kvstore replace`: the safe order of steps, each taken only if the cluster can lose nothing by it.

    1. add the new member as a learner           votes and majority stay as they are
    2. wait until it runs and has caught up      the leader says so by accepting 3.
    3. promote it                                one more voter, which is up to date
    4. give leadership away if the old one has it
    5. remove the old member                     the majority is that of the beginning again

A run that was interrupted is continued by the same command: a step whose result is there is not repeated.
Up to 3, an end for any reason takes the learner away again, so nothing is left half done; from then on only
removing is left, and it says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvstore.commands.connection import Connection, ServerError, Target, connected, connected_to_any
from kvstore.errors import FailedPrecondition, MemberNotFound
from kvstore.rpc.proto import rpc_pb2

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 30.0
_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_NOT_READY = (*_PASSING, "FAILED_PRECONDITION")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """`member`: name or id in hex of the one that goes; `peer_urls` of the one that comes."""

    member: str
    peer_urls: tuple[str, ...]
    timeout: float


async def replace(target: Target, wanted: Wanted, say: Say) -> None:
    """Raises `FailedPrecondition`, `MemberNotFound`, `ServerError`, TimeoutError."""
    async with connected_to_any(target) as connection:
        members = await _members(connection)
        new = _with_urls(members, wanted.peer_urls)
        old = find(members, wanted.member)
        if old is None and new is not None and not new.isLearner:
            say(f"{wanted.member} is replaced already")
            return
        if old is None:
            raise MemberNotFound(f"there is no member {wanted.member}; it has {_names(members)}")
        if new is not None and new.ID == old.ID:
            raise FailedPrecondition("--peer-urls are those of the member that is to go; give the new one's")
        await _require_majority(target, members, old)
        if new is None or new.isLearner:
            new = await _bring_in(connection, members, new, wanted, say)
        await _send_off(target, connection, old, new, say)


def find(members: Sequence[rpc_pb2.Member], text: str) -> rpc_pb2.Member | None:
    for member in members:
        if text in (member.name, f"{member.ID:x}", f"{member.ID:016x}"):
            return member
    return None


def is_safe(voters: int, others_up: int, old_up: bool) -> bool:
    """Whether those that answer are a majority now, and will be with the new member in place of the old one.
    Between, with both, they are if they are now: one more of one more."""
    majority = voters // 2 + 1
    return others_up + old_up >= majority and others_up + 1 >= majority


async def _bring_in(
    connection: Connection,
    members: Sequence[rpc_pb2.Member],
    new: rpc_pb2.Member | None,
    wanted: Wanted,
    say: Say,
) -> rpc_pb2.Member:
    """Steps 1 to 3; the new voter. Without success the learner is gone again."""
    if new is None:
        new = await _add(connection, wanted)
        say(f"added learner {new.ID:016x}; start the new member with an empty data directory and")
        say(f"  --initial-cluster-state existing --initial-cluster {initial_cluster(members, wanted)}")
    try:
        async with asyncio.timeout(wanted.timeout):
            await _promote(connection, new.ID)
    except BaseException as error:
        await asyncio.shield(_take_back(connection, new.ID))
        say("the learner was removed again; nothing has changed")
        if isinstance(error, TimeoutError):
            text = f"the new member did not start and catch up within {wanted.timeout:.0f} s"
            raise TimeoutError(text) from error
        raise
    say(f"promoted {new.ID:016x}: it has everything and votes")
    return new


async def _add(connection: Connection, wanted: Wanted) -> rpc_pb2.Member:
    """A cluster that has just begun, or changed, refuses changes for some seconds."""
    request = rpc_pb2.MemberAddRequest(peerURLs=wanted.peer_urls, isLearner=True)
    reply = rpc_pb2.MemberAddResponse
    async with asyncio.timeout(_SETTLE_SECONDS):
        while True:
            try:
                return (await connection.call("etcdserverpb.Cluster/MemberAdd", request, reply)).member
            except ServerError as error:
                if error.code not in _PASSING:
                    raise
            added = _with_urls(await _members(connection), wanted.peer_urls)
            if added is not None:
                return added
            await asyncio.sleep(_POLL_SECONDS)


async def _promote(connection: Connection, id_: int) -> None:
    while True:
        try:
            request = rpc_pb2.MemberPromoteRequest(ID=id_)
            await connection.call(
                "etcdserverpb.Cluster/MemberPromote", request, rpc_pb2.MemberPromoteResponse
            )
            return
        except ServerError as error:
            if error.code not in _NOT_READY:
                raise
        if any(id_ == member.ID and not member.isLearner for member in await _members(connection)):
            return  # promoted by a call whose answer was lost
        await asyncio.sleep(_POLL_SECONDS)


async def _take_back(connection: Connection, id_: int) -> None:
    if any(id_ == member.ID and member.isLearner for member in await _members(connection)):
        request = rpc_pb2.MemberRemoveRequest(ID=id_)
        await connection.call("etcdserverpb.Cluster/MemberRemove", request, rpc_pb2.MemberRemoveResponse)


async def _send_off(
    target: Target, connection: Connection, old: rpc_pb2.Member, new: rpc_pb2.Member, say: Say
) -> None:
    """Steps 4 and 5, through a member that stays."""
    status = await _status(connection)
    if status.leader == old.ID:
        await _move_leader(target, connection, old, new)
        say("moved leadership to the new member")
    for member in await _members(connection):
        for url in member.clientURLs if member.ID != old.ID else ():
            try:
                async with connected(target, url) as stays:
                    await _remove(stays, old.ID)
                say(f"removed {old.name or 'the old member'} ({old.ID:016x})")
                return
            except ServerError as error:
                if error.code != "UNAVAILABLE":
                    raise
    raise FailedPrecondition(
        f"no other member could be asked to remove {old.ID:016x}; run this command again when one answers"
    )


async def _remove(connection: Connection, id_: int) -> None:
    """Again while the cluster, which has just changed, refuses it."""
    request = rpc_pb2.MemberRemoveRequest(ID=id_)
    reply = rpc_pb2.MemberRemoveResponse
    async with asyncio.timeout(_SETTLE_SECONDS):
        while any(id_ == member.ID for member in await _members(connection)):
            try:
                await connection.call("etcdserverpb.Cluster/MemberRemove", request, reply)
            except ServerError as error:
                if error.code not in _PASSING:
                    raise
                await asyncio.sleep(_POLL_SECONDS)


async def _move_leader(
    target: Target, connection: Connection, old: rpc_pb2.Member, new: rpc_pb2.Member
) -> None:
    """Only the leader takes this request."""
    request = rpc_pb2.MoveLeaderRequest(targetID=new.ID)
    for url in old.clientURLs:
        async with connected(target, url) as leader:
            await leader.call("etcdserverpb.Maintenance/MoveLeader", request, rpc_pb2.MoveLeaderResponse)
            return


async def _require_majority(target: Target, members: Sequence[rpc_pb2.Member], old: rpc_pb2.Member) -> None:
    if old.isLearner:
        raise FailedPrecondition(f"{old.name} is a learner: remove it with etcdctl member remove")
    voters = [member for member in members if not member.isLearner]
    silent = [member for member in voters if not await _answers(target, member)]
    others = [member for member in voters if member.ID != old.ID and member not in silent]
    if not is_safe(len(voters), len(others), old not in silent):
        raise FailedPrecondition(
            f"the cluster has or would have no majority: no answer from {_names(silent)}; start these first"
        )


async def _answers(target: Target, member: rpc_pb2.Member) -> bool:
    for url in member.clientURLs:
        try:
            async with connected(target, url) as connection:
                await _status(connection)
                return True
        except ServerError:
            continue
    return False


async def _members(connection: Connection) -> list[rpc_pb2.Member]:
    request = rpc_pb2.MemberListRequest(linearizable=True)
    reply = await connection.call("etcdserverpb.Cluster/MemberList", request, rpc_pb2.MemberListResponse)
    return list(reply.members)


async def _status(connection: Connection) -> rpc_pb2.StatusResponse:
    return await connection.call(
        "etcdserverpb.Maintenance/Status", rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse
    )


def _with_urls(members: Sequence[rpc_pb2.Member], urls: Sequence[str]) -> rpc_pb2.Member | None:
    return next((member for member in members if set(member.peerURLs) == set(urls)), None)


def initial_cluster(members: Sequence[rpc_pb2.Member], wanted: Wanted) -> str:
    parts = [f"{member.name}={url}" for member in members for url in member.peerURLs]
    return ",".join([*parts, *(f"NAME={url}" for url in wanted.peer_urls)])


def _names(members: Sequence[rpc_pb2.Member]) -> str:
    return ", ".join(f"{member.name or 'unstarted'} ({member.ID:016x})" for member in members)
