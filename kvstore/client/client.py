"""Calls of a remote store, by the names and in the types of `kvstore.member.Member`."""

from __future__ import annotations

from collections.abc import Sequence

from kvstore.client import convert
from kvstore.client.channels import Channels, ClientTls
from kvstore.client.watch import WatchStream
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import (
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)

TIMEOUT_SECONDS = 5.0
_ANY_KEY = b"\0"


class Client:
    """Reads go on to the next endpoint when one fails; of writes only those that were certainly not begun.

    All raise the store's errors; `RequestTimeout` and `LeaderChanged` of a write: outcome unknown.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: ClientTls | None = None,
        user: str = "",
        password: str = "",
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._channels = Channels(endpoints, tls, user, password, timeout)
        self._revision = 0

    async def close(self) -> None:
        await self._channels.close()

    def revision(self) -> int:
        """The highest that an answer has shown."""
        return self._revision

    async def read_index(self) -> int:
        """The revision of the store: every write acknowledged before the call has one not above it."""
        found = await self.range(RangeRequest(_ANY_KEY, count_only=True))
        return found.header.revision

    async def range(self, request: RangeRequest) -> RangeResponse:
        message = convert.range_request(request)
        answer = await self._channels.unary(
            "etcdserverpb.KV/Range", message, pb.RangeResponse, read_only=True
        )
        self._saw(answer.header)
        return convert.range_response(answer)

    async def put(self, request: PutRequest) -> PutResponse:
        message = convert.put_request(request)
        answer = await self._channels.unary("etcdserverpb.KV/Put", message, pb.PutResponse, read_only=False)
        self._saw(answer.header)
        return convert.put_response(answer)

    async def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        message = convert.delete_request(request)
        answer = await self._channels.unary(
            "etcdserverpb.KV/DeleteRange", message, pb.DeleteRangeResponse, read_only=False
        )
        self._saw(answer.header)
        return convert.delete_response(answer)

    async def txn(self, request: TxnRequest) -> TxnResponse:
        message = convert.txn_request(request)
        answer = await self._channels.unary("etcdserverpb.KV/Txn", message, pb.TxnResponse, read_only=False)
        self._saw(answer.header)
        return convert.txn_response(answer)

    async def compact(self, request: CompactionRequest) -> CompactionResponse:
        message = pb.CompactionRequest(revision=request.revision, physical=request.physical)
        answer = await self._channels.unary(
            "etcdserverpb.KV/Compact", message, pb.CompactionResponse, read_only=False
        )
        return CompactionResponse(convert.header(answer.header))

    async def lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse:
        message = pb.LeaseGrantRequest(TTL=request.ttl, ID=request.id)
        answer = await self._channels.unary(
            "etcdserverpb.Lease/LeaseGrant", message, pb.LeaseGrantResponse, read_only=False
        )
        return LeaseGrantResponse(convert.header(answer.header), answer.ID, answer.TTL)

    async def lease_revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
        answer = await self._channels.unary(
            "etcdserverpb.Lease/LeaseRevoke",
            pb.LeaseRevokeRequest(ID=request.id),
            pb.LeaseRevokeResponse,
            read_only=False,
        )
        return LeaseRevokeResponse(convert.header(answer.header))

    async def member_list(self) -> list[MemberInfo]:
        answer = await self._channels.unary(
            "etcdserverpb.Cluster/MemberList", pb.MemberListRequest(), pb.MemberListResponse, read_only=True
        )
        return [convert.member(member) for member in answer.members]

    def watch(self) -> WatchStream:
        """Give it its one watch with `create`, then iterate."""
        return WatchStream(self._channels)

    def _saw(self, header: pb.ResponseHeader) -> None:
        self._revision = max(self._revision, header.revision)
