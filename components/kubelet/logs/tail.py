"""Reading CRI log files: one record apart into (time, stream, text), the last lines of a file.

The format is written by `runtime.process.shim.logfile`.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import NamedTuple


class Record(NamedTuple):
    time: str
    stream: str
    partial: bool
    text: bytes


def parse(line: bytes) -> Record | None:
    """One line without its newline; None if it is not a CRI record."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[2] not in (b"F", b"P"):
        return None
    return Record(
        parts[0].decode("ascii", "replace"), parts[1].decode("ascii", "replace"), parts[2] == b"P", parts[3]
    )


def last_lines(path: Path, *, lines: int, limit: int) -> str:
    """The end of a container's output: at most `lines` lines and `limit` bytes."""
    try:
        with path.open("rb") as file:
            tail = deque(file, maxlen=lines)
    except OSError:
        return ""
    records = [parse(line.rstrip(b"\n")) for line in tail]
    text = b"".join(r.text + (b"" if r.partial else b"\n") for r in records if r is not None)
    return text[-limit:].decode("utf-8", "replace")
