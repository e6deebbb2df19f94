"""v3electionpb.Election: one leader among clients, with a value that all may see."""

from __future__ import annotations

from collections.abc import AsyncIterator

from kvstore.auth.types import Credentials
from kvstore.errors import FailedPrecondition, NotFound, StoreError
from kvstore.member import Member
from kvstore.rpc import convert, queueing
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import v3election_pb2 as pb
from kvstore.types import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EventType,
    KeyValue,
    PutRequest,
    RangeRequest,
    ResponseHeader,
    SortOrder,
    SortTarget,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
)


class MissingLeaderKey(FailedPrecondition):
    message = '"leader" field must be provided'


class NoElectionLeader(NotFound):
    code = "UNKNOWN"
    message = "election: no leader"


class ElectionNotLeader(StoreError):
    message = "election: not leader"


class Election:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def Campaign(self, request: pb.CampaignRequest, call: Call) -> pb.CampaignResponse:
        """Returns when the caller leads; one that gives up leaves the queue."""
        member, who = self._member, await credentials(self._member, call)
        lease = await queueing.lease_of(member, request.lease, who)
        prefix = request.name + b"/"
        async with queueing.kept_alive(member, lease, who):
            key, before, revision = await queueing.enqueue(member, prefix, lease, request.value, who)
            try:
                if before is not None and before.value != request.value:
                    await self._proclaim(key, revision, PutRequest(key, request.value, lease), who)
                header = await queueing.wait_turn(member, prefix, revision, who)
            except BaseException:
                await member.delete_range(DeleteRangeRequest(key), who)
                raise
        leader = pb.LeaderKey(name=request.name, key=key, rev=revision, lease=lease)
        return pb.CampaignResponse(header=convert.header(header), leader=leader)

    async def Proclaim(self, request: pb.ProclaimRequest, call: Call) -> pb.ProclaimResponse:
        leader = _leader_key(request)
        who = await credentials(self._member, call)
        put = PutRequest(leader.key, request.value, leader.lease)
        done = await self._proclaim(leader.key, leader.rev, put, who)
        return pb.ProclaimResponse(header=convert.header(done.header))

    async def Leader(self, request: pb.LeaderRequest, call: Call) -> pb.LeaderResponse:
        header, found = await self._leader(request.name, await credentials(self._member, call))
        if found is None:
            raise NoElectionLeader
        return pb.LeaderResponse(header=convert.header(header), kv=convert.key_value(found))

    async def Observe(self, request: pb.LeaderRequest, call: Call) -> AsyncIterator[pb.LeaderResponse]:
        """The leader's value now, and each time that it or the leader changes."""
        who = await credentials(self._member, call)
        last = 0
        while True:
            header, found = await self._leader(request.name, who)
            if found is not None and found.mod_revision > last:
                last = found.mod_revision
                yield pb.LeaderResponse(header=convert.header(header), kv=convert.key_value(found))
            await self._changed(request.name + b"/", header.revision + 1, who)

    async def Resign(self, request: pb.ResignRequest, call: Call) -> pb.ResignResponse:
        leader = _leader_key(request)
        who = await credentials(self._member, call)
        own = Compare(leader.key, CompareTarget.CREATE, create_revision=leader.rev)
        done = await self._member.txn(TxnRequest((own,), (DeleteRangeRequest(leader.key),)), who)
        return pb.ResignResponse(header=convert.header(done.header))

    async def _proclaim(self, key: bytes, revision: int, put: PutRequest, who: Credentials) -> TxnResponse:
        own = Compare(key, CompareTarget.CREATE, create_revision=revision)
        done = await self._member.txn(TxnRequest((own,), (put,)), who)
        if not done.succeeded:
            raise ElectionNotLeader
        return done

    async def _leader(self, name: bytes, who: Credentials) -> tuple[ResponseHeader, KeyValue | None]:
        prefix = name + b"/"
        oldest = RangeRequest(
            prefix,
            queueing.prefix_end(prefix),
            limit=1,
            sort_order=SortOrder.ASCEND,
            sort_target=SortTarget.CREATE,
        )
        found = await self._member.range(oldest, who)
        return found.header, found.kvs[0] if found.kvs else None

    async def _changed(self, prefix: bytes, since: int, who: Credentials) -> None:
        stream = self._member.watch()
        try:
            end = queueing.prefix_end(prefix)
            stream.create(WatchCreateRequest(prefix, end, start_revision=since), who)
            async for response in stream:
                if response.canceled or any(_matters(event.type) for event in response.events):
                    return
        finally:
            stream.close()


def _matters(kind: EventType) -> bool:
    return kind in (EventType.PUT, EventType.DELETE)


def _leader_key(request: pb.ProclaimRequest | pb.ResignRequest) -> pb.LeaderKey:
    if not request.HasField("leader"):
        raise MissingLeaderKey
    return request.leader
