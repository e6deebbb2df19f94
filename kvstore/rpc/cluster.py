"""etcdserverpb.Cluster."""

from __future__ import annotations

from collections.abc import Sequence

from kvstore.errors import Unsupported
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
        members = self._member.member_list()
        return pb.MemberListResponse(header=self._header(), members=_all(members))

    async def MemberAdd(self, request: pb.MemberAddRequest, call: Call) -> pb.MemberAddResponse:
        raise await self._fixed(call)

    async def MemberRemove(self, request: pb.MemberRemoveRequest, call: Call) -> pb.MemberRemoveResponse:
        raise await self._fixed(call)

    async def MemberUpdate(self, request: pb.MemberUpdateRequest, call: Call) -> pb.MemberUpdateResponse:
        raise await self._fixed(call)

    async def MemberPromote(self, request: pb.MemberPromoteRequest, call: Call) -> pb.MemberPromoteResponse:
        raise await self._fixed(call)

    async def _fixed(self, call: Call) -> Unsupported:
        self._member.require_root(await credentials(self._member, call))
        return Unsupported("kvstore: the members of a cluster are those it was started with")

    def _header(self) -> pb.ResponseHeader:
        """As etcd's: of the cluster, not of the store, so without a revision."""
        header = convert.header(self._member.header())
        header.revision = 0
        return header


def _all(members: Sequence[MemberInfo]) -> list[pb.Member]:
    return [convert.member(member) for member in members]
