"""The processes of one container, read from /proc: who they are, what they hold, how to end them all.

A container with a PID namespace is the tree below its first process (orphans in it come back to that
process). Without one, a process that leaves the tree still carries the session of the container's first
process.
"""

from __future__ import annotations

import contextlib
import os
import signal

PAGE = os.sysconf("SC_PAGE_SIZE")


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which `pid` started: with the pid, the identity of a process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def tree(root: int) -> list[int]:
    """`root` and everything below it, parents before children."""
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending.extend(children(pid))
    return found


def children(pid: int) -> list[int]:
    out: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                out.extend(int(word) for word in file.read().split())
    return out


def session_members(session: int) -> list[int]:
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields and int(fields[3]) == session:
                out.append(int(name))
    return out


def anonymous_bytes(pid: int) -> int:
    """Resident memory that is not file-backed: what a memory limit is about."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            words = file.read().split()
    except OSError:
        return 0
    return (int(words[1]) - int(words[2])) * PAGE


def kill_all(pids: list[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command name; [0] is the state."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None
