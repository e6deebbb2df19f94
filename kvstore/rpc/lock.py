"""v3lockpb.Lock: locks that end with their owner's lease."""

from __future__ import annotations

from kvstore.errors import EmptyKey, LeaseNotFound
from kvstore.member import Member
from kvstore.rpc import convert, queueing
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import v3lock_pb2 as pb
from kvstore.types import DeleteRangeRequest, RangeRequest


class Lock:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def Lock(self, request: pb.LockRequest, call: Call) -> pb.LockResponse:
        """Returns when the lock is the caller's; a caller that gives up leaves the queue."""
        if not request.name:
            raise EmptyKey
        member, who = self._member, await credentials(self._member, call)
        lease = await queueing.lease_of(member, request.lease, who)
        prefix = request.name + b"/"
        async with queueing.kept_alive(member, lease, who):
            key, _, revision = await queueing.enqueue(member, prefix, lease, b"", who)
            try:
                header = await queueing.wait_turn(member, prefix, revision, who)
            except BaseException:
                await member.delete_range(DeleteRangeRequest(key), who)
                raise
        if not (await member.range(RangeRequest(key), who)).kvs:
            raise LeaseNotFound  # it ended while its owner waited
        return pb.LockResponse(header=convert.header(header), key=key)

    async def Unlock(self, request: pb.UnlockRequest, call: Call) -> pb.UnlockResponse:
        who = await credentials(self._member, call)
        done = await self._member.delete_range(DeleteRangeRequest(request.key), who)
        return pb.UnlockResponse(header=convert.header(done.header))
