"""The calls of the client. `kvstore.client.connections` chooses the endpoint, `messages` translates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

import grpc.aio
from google.protobuf.message import Message

from kvstore.client import messages
from kvstore.client.connections import Connections, Tls
from kvstore.client.lease import LeaseKeeper
from kvstore.client.watch import Watch
from kvstore.errors import Unavailable
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmResponse,
    AlarmType,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    HashKVResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    StatusResponse,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
)

TIMEOUT_SECONDS = 10.0
ATTEMPT_SECONDS = 5.0

Reply = TypeVar("Reply", bound=Message)


class Client:
    """An async context manager. Every call raises `StoreError`s; `Unavailable` once `timeout` seconds are over.

    A write whose outcome is unknown is not repeated: `RequestTimeout` and `LeaderChanged` say so. Every other
    `Unavailable` means that nothing was done.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
        timeout: float = TIMEOUT_SECONDS,
        attempt_timeout: float = ATTEMPT_SECONDS,
    ) -> None:
        self._connections = Connections(endpoints, tls, user, password, timeout, attempt_timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connections.close()

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self._connections.endpoints

    async def call(
        self, method: str, request: Message, reply: type[Reply], *, repeatable: bool = False
    ) -> Reply:
        """Any call by its full name ("etcdserverpb.Auth/UserAdd") in the wire's own messages."""
        return await self._connections.unary(method, request, reply, repeatable=repeatable)

    # Keys.

    async def range(self, request: RangeRequest) -> RangeResponse:
        message = messages.range_request(request)
        return messages.range_response(
            await self.call("etcdserverpb.KV/Range", message, pb.RangeResponse, repeatable=True)
        )

    async def put(self, request: PutRequest) -> PutResponse:
        message = messages.put_request(request)
        return messages.put_response(await self.call("etcdserverpb.KV/Put", message, pb.PutResponse))

    async def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        message = messages.delete_request(request)
        return messages.delete_response(
            await self.call("etcdserverpb.KV/DeleteRange", message, pb.DeleteRangeResponse)
        )

    async def txn(self, request: TxnRequest) -> TxnResponse:
        message = messages.txn_request(request)
        repeatable = _only_reads(request)
        return messages.txn_response(
            await self.call("etcdserverpb.KV/Txn", message, pb.TxnResponse, repeatable=repeatable)
        )

    async def compact(self, request: CompactionRequest) -> CompactionResponse:
        message = pb.CompactionRequest(revision=request.revision, physical=request.physical)
        answer = await self.call("etcdserverpb.KV/Compact", message, pb.CompactionResponse)
        return CompactionResponse(messages.header(answer.header))

    def watch(self, request: WatchCreateRequest) -> Watch:
        """An async context manager and iterator, see :class:`Watch`."""
        return Watch(self._connections, request)

    # Leases.

    async def lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse:
        message = pb.LeaseGrantRequest(TTL=request.ttl, ID=request.id)
        answer = await self.call("etcdserverpb.Lease/LeaseGrant", message, pb.LeaseGrantResponse)
        return LeaseGrantResponse(messages.header(answer.header), answer.ID, answer.TTL)

    async def lease_revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
        message = pb.LeaseRevokeRequest(ID=request.id)
        answer = await self.call("etcdserverpb.Lease/LeaseRevoke", message, pb.LeaseRevokeResponse)
        return LeaseRevokeResponse(messages.header(answer.header))

    async def lease_keep_alive(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse:
        """Renewed once. `ttl` 0: there is no such lease."""

        async def attempt(number: int, limit: float) -> pb.LeaseKeepAliveResponse:
            stream = self._connections.stream(
                number,
                "etcdserverpb.Lease/LeaseKeepAlive",
                _one(pb.LeaseKeepAliveRequest(ID=request.id)),
                pb.LeaseKeepAliveRequest,
                pb.LeaseKeepAliveResponse,
            )
            async for answer in stream:
                return answer
            raise Unavailable(f"{self.endpoints[number]}: the stream of renewals ended")

        answer = await self._connections.attempts(attempt, repeatable=True)
        return LeaseKeepAliveResponse(messages.header(answer.header), answer.ID, answer.TTL)

    async def lease_time_to_live(self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse:
        message = pb.LeaseTimeToLiveRequest(ID=request.id, keys=request.keys)
        answer = await self.call(
            "etcdserverpb.Lease/LeaseTimeToLive", message, pb.LeaseTimeToLiveResponse, repeatable=True
        )
        return LeaseTimeToLiveResponse(
            messages.header(answer.header), answer.ID, answer.TTL, answer.grantedTTL, tuple(answer.keys)
        )

    async def leases(self) -> LeaseLeasesResponse:
        answer = await self.call(
            "etcdserverpb.Lease/LeaseLeases",
            pb.LeaseLeasesRequest(),
            pb.LeaseLeasesResponse,
            repeatable=True,
        )
        return LeaseLeasesResponse(messages.header(answer.header), tuple(each.ID for each in answer.leases))

    def keep_lease(self, ttl: int) -> LeaseKeeper:
        """An async context manager that holds a lease, see :class:`LeaseKeeper`."""
        return LeaseKeeper(self, ttl)

    # The cluster and its members.

    async def member_list(self, *, linearizable: bool = True) -> tuple[MemberInfo, ...]:
        answer = await self.call(
            "etcdserverpb.Cluster/MemberList",
            pb.MemberListRequest(linearizable=linearizable),
            pb.MemberListResponse,
            repeatable=True,
        )
        return tuple(map(messages.member, answer.members))

    async def status(self, endpoint: str) -> StatusResponse:
        """Of the member behind this endpoint."""
        m = await self._connections.at(
            endpoint, "etcdserverpb.Maintenance/Status", pb.StatusRequest(), pb.StatusResponse
        )
        return StatusResponse(
            messages.header(m.header),
            m.version,
            m.dbSize,
            m.leader,
            m.raftIndex,
            m.raftTerm,
            m.raftAppliedIndex,
            tuple(m.errors),
            m.dbSizeInUse,
            m.isLearner,
        )

    async def hash_kv(self, endpoint: str, revision: int = 0) -> HashKVResponse:
        """Of the member behind this endpoint."""
        m = await self._connections.at(
            endpoint,
            "etcdserverpb.Maintenance/HashKV",
            pb.HashKVRequest(revision=revision),
            pb.HashKVResponse,
        )
        return HashKVResponse(messages.header(m.header), m.hash, m.compact_revision, revision)

    async def alarm(self, request: AlarmRequest) -> AlarmResponse:
        message = pb.AlarmRequest(
            action=pb.AlarmRequest.AlarmAction.Name(request.action),
            memberID=request.member_id,
            alarm=pb.AlarmType.Name(request.alarm),
        )
        repeatable = request.action is AlarmAction.GET
        m = await self.call(
            "etcdserverpb.Maintenance/Alarm", message, pb.AlarmResponse, repeatable=repeatable
        )
        alarms = tuple(AlarmMember(each.memberID, AlarmType(each.alarm)) for each in m.alarms)
        return AlarmResponse(messages.header(m.header), alarms)

    async def defragment(self, endpoint: str) -> None:
        await self._connections.at(
            endpoint, "etcdserverpb.Maintenance/Defragment", pb.DefragmentRequest(), pb.DefragmentResponse
        )

    async def snapshot(self, endpoint: str) -> AsyncIterator[bytes]:
        """The database file of the member behind this endpoint, its SHA-256 last."""
        number = self.endpoints.index(endpoint)
        await self._connections.ensure_token(number)
        stream = self._connections.answers(
            number, "etcdserverpb.Maintenance/Snapshot", pb.SnapshotRequest(), pb.SnapshotResponse
        )
        try:
            async for answer in stream:
                yield answer.blob
        except grpc.aio.AioRpcError as error:
            raise self._connections.translated(number, error) from error


def _only_reads(request: TxnRequest) -> bool:
    return all(
        isinstance(op, RangeRequest) or (isinstance(op, TxnRequest) and _only_reads(op))
        for op in (*request.success, *request.failure)
    )


async def _one(message: Message) -> AsyncIterator[Message]:
    yield message
