"""etcdserverpb.Cluster."""

from __future__ import annotations

from collections.abc import Sequence

from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import MemberInfo


class Cluster:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def MemberList(self, request: pb.MemberListRequest, call: Call) -> pb.MemberListResponse:
        await credentials(self._member, call)
        if request.linearizable:
            await self._member.read_index()
        members = self._member.member_list()
        return pb.MemberListResponse(header=self._header(), members=_all(members))

    async def MemberAdd(self, request: pb.MemberAddRequest, call: Call) -> pb.MemberAddResponse:
        await self._require_root(call)
        change = await self._member.member_add(request.peerURLs, request.isLearner)
        assert change.member is not None
        return pb.MemberAddResponse(
            header=self._header(), member=convert.member(change.member), members=_all(change.members)
        )

    async def MemberRemove(self, request: pb.MemberRemoveRequest, call: Call) -> pb.MemberRemoveResponse:
        await self._require_root(call)
        change = await self._member.member_remove(request.ID)
        return pb.MemberRemoveResponse(header=self._header(), members=_all(change.members))

    async def MemberUpdate(self, request: pb.MemberUpdateRequest, call: Call) -> pb.MemberUpdateResponse:
        await self._require_root(call)
        change = await self._member.member_update(request.ID, request.peerURLs)
        return pb.MemberUpdateResponse(header=self._header(), members=_all(change.members))

    async def MemberPromote(self, request: pb.MemberPromoteRequest, call: Call) -> pb.MemberPromoteResponse:
        await self._require_root(call)
        change = await self._member.member_promote(request.ID)
        return pb.MemberPromoteResponse(header=self._header(), members=_all(change.members))

    async def _require_root(self, call: Call) -> None:
        self._member.require_root(await credentials(self._member, call))

    def _header(self) -> pb.ResponseHeader:
        """As etcd's: of the cluster, not of the store, so without a revision."""
        header = convert.header(self._member.header())
        header.revision = 0
        return header


def _all(members: Sequence[MemberInfo]) -> list[pb.Member]:
    return [convert.member(member) for member in members]
