"""What `kuberaft status` says, as data (P): built by the supervisor, sent as JSON, rendered by `view`."""

from __future__ import annotations

from msgspec import Struct

from components.cluster.processes import Process


class MemberAnswer(Struct, frozen=True, rename="camel"):
    """A master as it describes itself: `leader` says whether it leads, `leader_name` whom it follows,
    `stalls` how often its event loop stood still, `memory` its resident bytes. One that is `draining` was told to
    end and serves the connections that it has.
    """

    name: str
    member_id: str
    leader: bool
    leader_name: str
    term: int
    applied_index: int
    revision: int
    db_size: int
    ready: bool
    stalls: int
    memory: int
    draining: bool = False


class MemberStatus(MemberAnswer, frozen=True, rename="camel"):
    """`lag` is how many log entries it is behind the furthest."""

    lag: int = 0


class SupervisorStatus(Struct, frozen=True, rename="camel"):
    """The process that answers."""

    pid: int
    uptime: float


class NodeStatus(Struct, frozen=True, rename="camel"):
    """A node as the API shows it. `ready` is the condition's status; `heartbeat` is seconds since
    the epoch.
    """

    name: str
    ready: str
    heartbeat: float
    address: str


class ProcessStatus(Struct, frozen=True, rename="camel"):
    """A process as the supervisor sees it. `program`: the interpreter of another version that it was started by."""

    name: str
    kind: str
    state: str
    pid: int | None
    uptime: float | None
    exit: str
    program: str = ""


class BackupStatus(Struct, frozen=True, rename="camel"):
    """How the scheduled backups go. Times are seconds since the epoch, `duration` seconds, `size` bytes.

    `last` is the file name of the last good one, from this start of the cluster or an earlier one; `error` says why the
    latest attempt failed, empty when it did not.
    """

    directory: str
    schedule: str
    keep: int
    kept: int = 0
    last: str = ""
    last_success: float | None = None
    duration: float | None = None
    size: int | None = None
    revision: int | None = None
    successes: int = 0
    failures: int = 0
    error: str = ""
    next: float | None = None


class ClusterStatus(Struct, frozen=True, rename="camel"):
    """One cluster at one moment. `warnings` are lines about what needs a person's attention."""

    name: str
    directory: str
    kubeconfig: str
    server: str
    slot: int
    ready: bool
    leader: str
    supervisor: SupervisorStatus
    processes: list[ProcessStatus]
    members: list[MemberStatus]
    nodes: list[NodeStatus]
    connections: dict[str, int]
    warnings: list[str] = []
    backups: BackupStatus | None = None


def process_status(process: Process, now: float) -> ProcessStatus:
    """The shown form of one process at the time `now`."""
    return ProcessStatus(
        name=process.name,
        kind=process.kind,
        state=process.state,
        pid=process.pid,
        uptime=round(now - process.started_at, 1) if process.running else None,
        exit=process.describe_exit(),
        program=process.program,
    )


def member_status(answer: MemberAnswer, furthest: int) -> MemberStatus:
    """A master's answer with its lag behind the furthest member's applied index."""
    lag = max(0, furthest - answer.applied_index)
    return MemberStatus(**{field: getattr(answer, field) for field in answer.__struct_fields__}, lag=lag)


def leader_of(members: list[MemberStatus]) -> str:
    """The leader that the member of the highest term knows; empty when none."""
    known = [(member.term, member.leader_name) for member in members if member.leader_name]
    return max(known, default=(0, ""))[1]


def node_is_ready(process: Process, nodes: list[NodeStatus]) -> bool:
    """Has the worker's node said that it is Ready since the process started? Heartbeats have whole
    seconds.
    """
    return any(
        node.name == process.name and node.ready == "True" and node.heartbeat >= int(process.started_at)
        for node in nodes
    )


def all_ready(processes: list[Process]) -> bool:
    """Does every process run and do its work?"""
    return all(process.state == "ready" for process in processes)
