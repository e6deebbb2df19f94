"""Calls of a remote store, by the names and in the types of `kvstore.member.Member`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from kvstore.client import convert
from kvstore.client.channels import Channels, ClientTls
from kvstore.client.lease import LeaseKeeper
from kvstore.client.watch import WatchStream
from kvstore.errors import RequestTimeout, Unavailable
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import (
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    StatusResponse,
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

    async def put_all(self, requests: Sequence[PutRequest]) -> TxnResponse:
        """All in one transaction."""
        return await self.txn(TxnRequest(success=tuple(requests)))

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

    async def lease_keep_alive(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse:
        """Renewed once, by the endpoint in use or the next. `ttl` 0: there is no such lease."""
        failure: Unavailable | None = None
        for _ in range(self._channels.count):
            endpoint = self._channels.endpoint
            try:
                async with asyncio.timeout(self._channels.timeout):
                    return await self._renew(request)
            except Unavailable as error:
                failure = error
            except TimeoutError:
                failure = RequestTimeout(f"{endpoint}: no renewal in time")
            self._channels.leave(endpoint)
        assert failure is not None, "there is an endpoint"
        raise failure

    async def _renew(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse:
        stream = self._channels.stream(
            "etcdserverpb.Lease/LeaseKeepAlive",
            _one(pb.LeaseKeepAliveRequest(ID=request.id)),
            pb.LeaseKeepAliveRequest,
            pb.LeaseKeepAliveResponse,
        )
        async with contextlib.aclosing(stream):
            async for answer in stream:
                return LeaseKeepAliveResponse(convert.header(answer.header), answer.ID, answer.TTL)
        raise Unavailable("the stream of renewals ended")

    def keep_lease(self, ttl: int) -> LeaseKeeper:
        """`async with client.keep_lease(10) as lease`: a lease that lasts as long as the block."""
        return LeaseKeeper(self, ttl)

    async def member_list(self) -> list[MemberInfo]:
        answer = await self._channels.unary(
            "etcdserverpb.Cluster/MemberList", pb.MemberListRequest(), pb.MemberListResponse, read_only=True
        )
        return [convert.member(member) for member in answer.members]

    async def status(self) -> StatusResponse:
        """Of the member behind the endpoint in use."""
        m = await self._channels.unary(
            "etcdserverpb.Maintenance/Status", pb.StatusRequest(), pb.StatusResponse, read_only=True
        )
        return StatusResponse(
            header=convert.header(m.header),
            version=m.version,
            db_size=m.dbSize,
            leader=m.leader,
            raft_index=m.raftIndex,
            raft_term=m.raftTerm,
            raft_applied_index=m.raftAppliedIndex,
            errors=tuple(m.errors),
            db_size_in_use=m.dbSizeInUse,
            is_learner=m.isLearner,
        )

    async def snapshot(self) -> AsyncIterator[bytes]:
        """The database file of the member behind the endpoint in use, its SHA-256 last."""
        async for answer in self._channels.answers(
            "etcdserverpb.Maintenance/Snapshot", pb.SnapshotRequest(), pb.SnapshotResponse
        ):
            yield answer.blob

    def watch(self) -> WatchStream:
        """Give it its one watch with `create`, then iterate."""
        return WatchStream(self._channels)

    def _saw(self, header: pb.ResponseHeader) -> None:
        self._revision = max(self._revision, header.revision)


async def _one(request: pb.LeaseKeepAliveRequest) -> AsyncIterator[pb.LeaseKeepAliveRequest]:
    yield request
