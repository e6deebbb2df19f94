"""A master's admin socket: what the supervisor asks of one master, without certificates or HTTP.

Answers come from this master's own state and never wait for the others, but for `snapshot`, `move-leader` and `resign`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from apiserver.api.meta import parse_time
from components.cluster import baseline_file, ipc
from components.cluster.errors import ClusterError
from components.cluster.stalls import StallWatch
from components.cluster.status import BackupStatus, MemberAnswer, NodeStatus
from kvstore.errors import StoreError
from kvstore.member import Member
from kvstore.types import RangeRequest

NODES = b"/registry/minions/"
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Admin:
    """The operations. `synced` says whether the API server is ready for requests, `furnished` waits until it has made
    what every cluster has; `draining`: not for long. `resign` gives up this master's offices.
    """

    def __init__(self, member: Member, stalls: StallWatch) -> None:
        self._member = member
        self._stalls = stalls
        self.synced: Callable[[], bool] = lambda: False
        self.furnished: Callable[[], Awaitable[None]] | None = None
        self.resign: Callable[[], Awaitable[None]] | None = None
        self.draining = False
        self.backups: BackupStatus | None = None

    def server(self, path: Path) -> ipc.Server:
        """The socket that offers them."""
        operations = {
            "status": self._status,
            "nodes": self._nodes,
            "snapshot": self._snapshot,
            "move-leader": self._move_leader,
            "resign": self._resign,
            "backups": self._told_of_backups,
            "mark": self._mark,
            "reset": self._reset,
            "slow-disk": self._slow_disk,
        }
        return ipc.Server(path, {name: _translated(operation) for name, operation in operations.items()})

    async def _status(self, request: dict[str, Any]) -> Any:
        status = await self._member.status()
        answer = MemberAnswer(
            name=self._member.config.name,
            member_id=f"{self._member.id:x}",
            leader=self._member.is_leader,
            leader_name=self._member.member_name(self._member.leader_id),
            term=status.raft_term,
            applied_index=status.raft_applied_index,
            revision=status.header.revision,
            db_size=status.db_size,
            ready=self.synced() and not self.draining and self._member.leader_id is not None,
            draining=self.draining,
            stalls=self._stalls.count,
            memory=_resident(),
        )
        return msgspec.to_builtins(answer)

    async def _nodes(self, request: dict[str, Any]) -> Any:
        wanted = RangeRequest(key=NODES, range_end=NODES[:-1] + b"0", serializable=True)
        response = await self._member.range(wanted)
        return [msgspec.to_builtins(_node(msgspec.json.decode(kv.value))) for kv in response.kvs]

    async def _snapshot(self, request: dict[str, Any]) -> Any:
        path = Path(request["file"])
        try:
            meta = await self._member.snapshot(path)
        except (OSError, StoreError) as error:
            raise ClusterError(f"{path}: the snapshot could not be taken: {error}", "try again") from error
        return {"revision": meta.revision, "size": meta.size, "sha256": meta.sha256}

    def metrics(self) -> Iterable[Any]:
        """Families for `/metrics`. What they are made with is loaded with the first scrape."""
        from components.cluster.backup_metrics import families

        return families(self.backups)

    async def _told_of_backups(self, request: dict[str, Any]) -> Any:
        """How the supervisor's backups go, for `/metrics`."""
        self.backups = msgspec.convert(request["status"], BackupStatus)

    async def _mark(self, request: dict[str, Any]) -> Any:
        if self.furnished is None:
            raise ClusterError("the API server has not begun", "try again")
        async with asyncio.timeout(baseline_file.WHOLE_SECONDS):
            await self.furnished()
        return await baseline_file.mark(self._member, Path(request["file"]))

    async def _reset(self, request: dict[str, Any]) -> Any:
        return await baseline_file.reset(self._member, Path(request["file"]))

    async def _move_leader(self, request: dict[str, Any]) -> Any:
        by_name = {member.name: member.id for member in self._member.member_list()}
        target = by_name.get(request["to"])
        if target is None:
            raise ClusterError(
                f"there is no master {request['to']!r}", f"the masters are {', '.join(by_name)}"
            )
        try:
            await self._member.move_leader(target)
        except StoreError as error:
            raise ClusterError(f"the leadership did not move: {error}", "look at kuberaft status") from error

    async def _resign(self, request: dict[str, Any]) -> Any:
        """Before all masters end, while there is a quorum: afterwards there is none to write a lease with."""
        if self.resign is not None and self._member.leader_id is not None:
            await self.resign()

    async def _slow_disk(self, request: dict[str, Any]) -> Any:
        """For `kuberaft drill`; ends by itself after `seconds`."""
        self._member.slow_disk(float(request["delay"]), float(request["seconds"]))


def _translated(operation: ipc.Handler) -> ipc.Handler:
    """A store that has stopped, or cannot answer, is no fault of the request's and needs no traceback."""

    async def translated(request: dict[str, Any]) -> Any:
        try:
            return await operation(request)
        except StoreError as error:
            raise ClusterError(f"the store cannot answer: {error}", "look at this master's log") from error

    return translated


def _node(node: dict[str, Any]) -> NodeStatus:
    status = node.get("status") or {}
    ready: dict[str, Any] = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    heartbeat = ready.get("lastHeartbeatTime")
    addresses = [a["address"] for a in status.get("addresses") or () if a["type"] == "InternalIP"]
    return NodeStatus(
        name=node["metadata"]["name"],
        ready=ready.get("status", "Unknown"),
        heartbeat=parse_time(heartbeat).timestamp() if heartbeat else 0.0,
        address=addresses[0] if addresses else "",
    )


def _resident() -> int:
    """Bytes of memory in use by this process."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
