"""etcdserverpb.Maintenance."""

from __future__ import annotations

from collections.abc import AsyncIterator

from kvstore.config import VERSION
from kvstore.errors import (
    InvalidDowngradeTargetVersion,
    NoInflightDowngrade,
    WrongDowngradeVersionFormat,
)
from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import AlarmAction, AlarmMember, AlarmRequest, AlarmType


class Maintenance:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def Alarm(self, request: pb.AlarmRequest, call: Call) -> pb.AlarmResponse:
        asked = AlarmRequest(
            convert.known(AlarmAction, request.action),
            request.memberID,
            convert.known(AlarmType, request.alarm),
        )
        response = await self._member.alarm(asked, await credentials(self._member, call))
        wanted = [alarm for alarm in response.alarms if _concerns(asked, alarm)]
        alarms = [pb.AlarmMember(memberID=a.member_id, alarm=pb.AlarmType.Name(a.alarm)) for a in wanted]
        return pb.AlarmResponse(header=convert.header(response.header), alarms=alarms)

    async def Status(self, request: pb.StatusRequest, call: Call) -> pb.StatusResponse:
        await credentials(self._member, call, learner=True)
        found = await self._member.status()
        return pb.StatusResponse(
            header=convert.header(found.header),
            version=found.version,
            dbSize=found.db_size,
            leader=found.leader,
            raftIndex=found.raft_index,
            raftTerm=found.raft_term,
            raftAppliedIndex=found.raft_applied_index,
            errors=found.errors,
            dbSizeInUse=found.db_size_in_use,
            isLearner=found.is_learner,
            storageVersion=found.storage_version,
            dbSizeQuota=found.db_size_quota,
            downgradeInfo=pb.DowngradeInfo(),
        )

    async def Defragment(self, request: pb.DefragmentRequest, call: Call) -> pb.DefragmentResponse:
        """Nothing to do: pages that compaction frees are used again."""
        await self._require_root(call)
        return pb.DefragmentResponse()

    async def Hash(self, request: pb.HashRequest, call: Call) -> pb.HashResponse:
        await self._require_root(call)
        found = await self._member.hash_kv()
        return pb.HashResponse(header=convert.header(found.header), hash=found.hash)

    async def HashKV(self, request: pb.HashKVRequest, call: Call) -> pb.HashKVResponse:
        await self._require_root(call)
        found = await self._member.hash_kv(request.revision)
        return pb.HashKVResponse(
            header=convert.header(found.header),
            hash=found.hash,
            compact_revision=found.compact_revision,
            hash_revision=found.hash_revision,
        )

    async def Snapshot(self, request: pb.SnapshotRequest, call: Call) -> AsyncIterator[pb.SnapshotResponse]:
        self._member.require_root(await credentials(self._member, call, learner=True))
        header = convert.header(self._member.header())
        async for data, remaining in self._member.export():
            yield pb.SnapshotResponse(header=header, remaining_bytes=remaining, blob=data, version=VERSION)

    async def MoveLeader(self, request: pb.MoveLeaderRequest, call: Call) -> pb.MoveLeaderResponse:
        await self._require_root(call)
        await self._member.move_leader(request.targetID)
        return pb.MoveLeaderResponse(header=convert.header(self._member.header()))

    async def Downgrade(self, request: pb.DowngradeRequest, call: Call) -> pb.DowngradeResponse:
        """There is one storage format, so there is nothing that could be downgraded to."""
        await self._require_root(call)
        if request.action == pb.DowngradeRequest.CANCEL:
            raise NoInflightDowngrade
        parts = request.version.split(".")
        if len(parts) not in (2, 3) or not all(part.isdigit() for part in parts):
            raise WrongDowngradeVersionFormat
        raise InvalidDowngradeTargetVersion

    async def _require_root(self, call: Call) -> None:
        self._member.require_root(await credentials(self._member, call))


def _concerns(asked: AlarmRequest, alarm: AlarmMember) -> bool:
    """A list may be asked for one kind of alarm."""
    return asked.action != AlarmAction.GET or asked.alarm in (AlarmType.NONE, alarm.alarm)
