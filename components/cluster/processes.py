"""The processes of one cluster and their states (P).

    stopped ──started──▶ starting ──became_ready──▶ ready ──lost──▶ starting
       ▲                    │                         │
       └───────ended────────┴──────────ended──────────┘         (ended: the process is gone; `exit` says how)

A worker is ready while its node is. Fed by `supervisor`; read by `status`. Nothing is restarted on its own:
a drill must see real failures.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from components.cluster.errors import ClusterError

Kind = Literal["master", "worker"]
State = Literal["stopped", "starting", "ready"]

_MOVES: dict[tuple[State, str], State] = {
    ("stopped", "started"): "starting",
    ("starting", "became_ready"): "ready",
    ("ready", "lost"): "starting",
    ("starting", "ended"): "stopped",
    ("ready", "ended"): "stopped",
}


class IllegalMove(Exception):
    """An event that cannot happen in this state; nothing was changed."""


@dataclass
class Process:
    """One master or worker. `exit` is the last exit code, negative for a signal; None while it runs or never
    did. `program`: the interpreter it was started by, empty for a copy of the starter.
    """

    name: str
    kind: Kind
    state: State = "stopped"
    pid: int | None = None
    started_at: float = 0.0
    exit: int | None = None
    program: str = ""

    def _move(self, event: str) -> None:
        if (self.state, event) not in _MOVES:
            raise IllegalMove(f"{self.name}: {event} while {self.state}")
        self.state = _MOVES[self.state, event]

    def started(self, pid: int, now: float, program: str = "") -> None:
        self._move("started")
        self.pid, self.started_at, self.exit, self.program = pid, now, None, program

    def became_ready(self) -> None:
        self._move("became_ready")

    def lost(self) -> None:
        self._move("lost")

    def ended(self, status: int) -> None:
        self._move("ended")
        self.pid, self.exit = None, status

    @property
    def running(self) -> bool:
        return self.state != "stopped"

    def describe_exit(self) -> str:
        """How it ended, in words."""
        if self.exit is None:
            return ""
        if self.exit < 0:
            return f"killed by {signal.Signals(-self.exit).name}"
        return f"exited with code {self.exit}"


class ProcessTable:
    """All processes by name, in the order they are shown."""

    def __init__(self, masters: list[str], workers: list[str]) -> None:
        named: list[tuple[str, Kind]] = [(m, "master") for m in masters]
        named += [(w, "worker") for w in workers]
        self._by_name = {name: Process(name, kind) for name, kind in named}

    def get(self, name: str) -> Process:
        """Raises ClusterError naming the processes there are."""
        if name not in self._by_name:
            raise ClusterError(
                f"there is no process {name!r}", f"the processes are {', '.join(self._by_name)}"
            )
        return self._by_name[name]

    def by_pid(self, pid: int) -> Process | None:
        return next((p for p in self._by_name.values() if p.pid == pid), None)

    def all(self) -> list[Process]:
        return list(self._by_name.values())

    def of(self, kind: Kind) -> list[Process]:
        return [process for process in self._by_name.values() if process.kind == kind]
