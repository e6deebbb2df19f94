"""What `kuberaft status` says, as data (P): built by the supervisor, sent as JSON, rendered by `view`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from components.cluster.processes import Process


class MemberStatus(Struct, frozen=True, rename="camel"):
    """A master as it describes itself. `lag` is how many log entries it is behind the furthest."""

    name: str
    member_id: str
    leader: str
    is_leader: bool
    term: int
    applied_index: int
    revision: int
    db_size: int
    ready: bool
    stalls: int = 0
    lag: int = 0


class NodeStatus(Struct, frozen=True, rename="camel"):
    """A node as the API shows it. `ready` is the condition's status; `heartbeat` is seconds since the epoch."""

    name: str
    ready: str
    heartbeat: float
    address: str
    pods: int = 0


class ProcessStatus(Struct, frozen=True, rename="camel"):
    """A process as the supervisor sees it."""

    name: str
    kind: str
    state: str
    pid: int | None
    uptime: float | None
    exit: str


class ClusterStatus(Struct, frozen=True, rename="camel"):
    """One cluster at one moment."""

    name: str
    directory: str
    kubeconfig: str
    server: str
    slot: int
    ready: bool
    leader: str
    processes: list[ProcessStatus]
    members: list[MemberStatus]
    nodes: list[NodeStatus]
    connections: dict[str, int]


def process_status(process: Process, now: float) -> ProcessStatus:
    """The shown form of one process; `now` on the clock its start was taken from."""
    return ProcessStatus(
        name=process.name,
        kind=process.kind,
        state=process.state,
        pid=process.pid,
        uptime=round(now - process.started_at, 1) if process.running else None,
        exit=process.describe_exit(),
    )


def member_status(name: str, answer: dict[str, Any], furthest: int) -> MemberStatus:
    """A master's answer to `status`, with its lag behind the furthest member's applied index."""
    fields = {field: answer[field] for field in MemberStatus.__struct_fields__ if field in answer}
    return MemberStatus(**{**fields, "name": name, "lag": max(0, furthest - answer["applied_index"])})


def leader_of(members: list[MemberStatus]) -> str:
    """The leader that the member of the highest term knows; empty when none."""
    known = [(member.term, member.leader) for member in members if member.leader]
    return max(known, default=(0, ""))[1]


def all_ready(processes: list[Process], nodes: list[NodeStatus], since: float) -> bool:
    """Every process runs and is ready, and every worker's node has reported Ready since `since`."""
    reported = {node.name for node in nodes if node.ready == "True" and node.heartbeat >= int(since)}
    return all(
        p.state == "ready" if p.kind == "master" else p.name in reported for p in processes if p.running
    ) and all(process.running for process in processes)
