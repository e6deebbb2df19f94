"""etcdserverpb.KV."""

from __future__ import annotations

from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import CompactionRequest


class KV:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def Range(self, request: pb.RangeRequest, call: Call) -> pb.RangeResponse:
        who = await credentials(self._member, call, learner=request.serializable)
        return convert.range_response(await self._member.range(convert.range_request(request), who))

    async def Put(self, request: pb.PutRequest, call: Call) -> pb.PutResponse:
        who = await credentials(self._member, call)
        return convert.put_response(await self._member.put(convert.put_request(request), who))

    async def DeleteRange(self, request: pb.DeleteRangeRequest, call: Call) -> pb.DeleteRangeResponse:
        who = await credentials(self._member, call)
        return convert.delete_response(await self._member.delete_range(convert.delete_request(request), who))

    async def Txn(self, request: pb.TxnRequest, call: Call) -> pb.TxnResponse:
        who = await credentials(self._member, call)
        return convert.txn_response(await self._member.txn(convert.txn_request(request), who))

    async def Compact(self, request: pb.CompactionRequest, call: Call) -> pb.CompactionResponse:
        who = await credentials(self._member, call)
        response = await self._member.compact(CompactionRequest(request.revision, request.physical), who)
        return pb.CompactionResponse(header=convert.header(response.header))
