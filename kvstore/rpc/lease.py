"""etcdserverpb.Lease."""

from __future__ import annotations

from collections.abc import AsyncIterator

from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest


class Lease:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def LeaseGrant(self, request: pb.LeaseGrantRequest, call: Call) -> pb.LeaseGrantResponse:
        who = await credentials(self._member, call)
        granted = await self._member.lease_grant(LeaseGrantRequest(request.TTL, request.ID), who)
        return pb.LeaseGrantResponse(header=convert.header(granted.header), ID=granted.id, TTL=granted.ttl)

    async def LeaseRevoke(self, request: pb.LeaseRevokeRequest, call: Call) -> pb.LeaseRevokeResponse:
        who = await credentials(self._member, call)
        revoked = await self._member.lease_revoke(LeaseRevokeRequest(request.ID), who)
        return pb.LeaseRevokeResponse(header=convert.header(revoked.header))

    async def LeaseKeepAlive(
        self, requests: AsyncIterator[pb.LeaseKeepAliveRequest], call: Call
    ) -> AsyncIterator[pb.LeaseKeepAliveResponse]:
        async for request in requests:
            who = await credentials(self._member, call)
            alive = await self._member.lease_keep_alive(LeaseKeepAliveRequest(request.ID), who)
            yield pb.LeaseKeepAliveResponse(header=convert.header(alive.header), ID=alive.id, TTL=alive.ttl)

    async def LeaseTimeToLive(
        self, request: pb.LeaseTimeToLiveRequest, call: Call
    ) -> pb.LeaseTimeToLiveResponse:
        who = await credentials(self._member, call)
        left = await self._member.lease_time_to_live(LeaseTimeToLiveRequest(request.ID, request.keys), who)
        return pb.LeaseTimeToLiveResponse(
            header=convert.header(left.header),
            ID=left.id,
            TTL=left.ttl,
            grantedTTL=left.granted_ttl,
            keys=left.keys,
        )

    async def LeaseLeases(self, request: pb.LeaseLeasesRequest, call: Call) -> pb.LeaseLeasesResponse:
        found = await self._member.leases(await credentials(self._member, call))
        leases = [pb.LeaseStatus(ID=lease) for lease in found.leases]
        return pb.LeaseLeasesResponse(header=convert.header(found.header), leases=leases)
