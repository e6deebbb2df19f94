"""Gives a forked process its own name in `ps` and `top`, and a life bound to its parent's.

Linux only, by `prctl` and by writing over the argument area of the process's own stack (what setproctitle
does). Where the kernel says no, the process merely keeps its parent's name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Receive SIGKILL when the parent process `parent` ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def set_title(name: str, argv: Sequence[str]) -> None:
    """`name` (15 bytes) as the short name, `argv` as the command line, cut to the room there is."""
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)
    with contextlib.suppress(OSError, ValueError, IndexError):
        start, end = _argument_area()
        room = end - start
        line = b"\0".join(os.fsencode(word) for word in argv)[: room - 1]
        ctypes.memmove(start, line.ljust(room, b"\0"), room)


def _argument_area() -> tuple[int, int]:
    """arg_start and arg_end, fields 48 and 49 of /proc/PID/stat (proc(5))."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[45]), int(fields[46])
