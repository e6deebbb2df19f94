"""What `up` and `status` show: a cluster's status as text for a terminal (rich)."""

from __future__ import annotations

import asyncio
import sys
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from components.cluster.status import BackupStatus, ClusterStatus, MemberStatus, ProcessStatus
from components.cluster.supervisor import Supervisor

REFRESH = 0.5  # seconds
_NARROW = 120  # columns of the terminal: below this the lesser figures are left to `kuberaft status -o json`
_LESSER = {"TERM", "REVISION", "STALLS", "CONNS"}
_STYLES = {"ready": "green", "starting": "yellow", "stopped": "red", "True": "green"}


def render(status: ClusterStatus, width: int = 160) -> RenderableType:
    """The whole cluster: head line, masters, workers; for a terminal of so many columns."""
    state = ("Ready", "bold green") if status.ready else ("not Ready", "bold yellow")
    head = Text.assemble(
        (status.name, "bold"), "  ", state, f"  {status.server}  kubeconfig {status.kubeconfig}"
    )
    lines = [Text(backups_line(status.backups))] if status.backups else []
    lines += [Text(f"warning: {line}", "yellow") for line in status.warnings]
    return Group(head, _masters(status, width), _workers(status), *lines)


def _masters(status: ClusterStatus, width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    members = {member.name: member for member in status.members}
    rows = [
        _master(process, members.get(process.name), status.connections.get(process.name, 0))
        for process in status.processes
        if process.kind == "master"
    ]
    shown = [name for name in (rows[0] if rows else ()) if width >= _NARROW or name not in _LESSER]
    for name in shown:
        table.add_column(
            name, justify="left" if name in ("MASTER", "STATE", "ROLE") else "right", no_wrap=True
        )
    for row in rows:
        table.add_row(*(row[name] for name in shown))
    return table


def _master(process: ProcessStatus, member: MemberStatus | None, connections: int) -> dict[str, str | Text]:
    row: dict[str, str | Text] = {
        "MASTER": process.name,
        "STATE": _state(process.state, process.exit),
        "ROLE": "" if member is None else "leader" if member.leader else "follower",
    }
    row |= dict.fromkeys(("TERM", "APPLIED", "LAG", "REVISION", "DB", "MEMORY", "STALLS"), "-")
    if member is not None:
        row |= {
            "TERM": str(member.term),
            "APPLIED": str(member.applied_index),
            "LAG": str(member.lag),
            "REVISION": str(member.revision),
            "DB": _size(member.db_size),
            "MEMORY": _size(member.memory),
            "STALLS": str(member.stalls),
        }
    row["CONNS"] = str(connections)
    row["PID"] = str(process.pid or "-")
    row["UP"] = _uptime(process.uptime)
    return row


def _workers(status: ClusterStatus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("WORKER", "STATE", "NODE", "ADDRESS", "PID", "UP"):
        table.add_column(column, justify="right" if column in ("PID", "UP") else "left")
    nodes = {node.name: node for node in status.nodes}
    for process in (p for p in status.processes if p.kind == "worker"):
        node = nodes.get(process.name)
        ready = "-" if node is None else "Ready" if node.ready == "True" else "NotReady"
        address = "-" if node is None else node.address
        style = "green" if ready == "Ready" else "yellow"
        table.add_row(
            process.name,
            _state(process.state, process.exit),
            Text(ready, style),
            address,
            str(process.pid or "-"),
            _uptime(process.uptime),
        )
    return table


def backups_line(backups: BackupStatus) -> str:
    """Where they go, what there is, when the next one is due."""
    last = "none yet"
    if backups.last_success is not None:
        size = "" if backups.size is None else f", {_size(backups.size)}"
        last = f"last {_moment(backups.last_success)}{size}, {backups.kept} kept"
    coming = "" if backups.next is None else f"; next {_moment(backups.next)}"
    return f"backups ({backups.schedule}) in {backups.directory}: {last}{coming}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _state(state: str, exit_text: str) -> Text:
    return Text(exit_text or state, _STYLES.get(state, ""))


def _size(count: int) -> str:
    return f"{count / 2**20:.1f}M"


def _uptime(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 7200 else f"{seconds / 3600:.0f}h"


def console() -> Console:
    """The terminal; wide enough for every column where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=160)


async def watch(supervisor: Supervisor) -> None:
    """Progress line by line, then the live status; on something that is no terminal, the lines only."""
    terminal = console()
    async for line in supervisor.progress():
        terminal.print(line, highlight=False)
    if not supervisor.ready.is_set():
        return
    status = supervisor.status()
    terminal.print(f"\nexport KUBECONFIG={status.kubeconfig}\nkubectl get nodes\n", highlight=False)
    if not sys.stdout.isatty():
        return
    with Live(render(status, terminal.width), console=terminal, auto_refresh=False, transient=True) as live:
        while True:
            live.update(render(supervisor.status(), terminal.width), refresh=True)
            await asyncio.sleep(REFRESH)
