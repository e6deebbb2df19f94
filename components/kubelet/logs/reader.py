"""Selects from one container's log file what a client asked for, and follows it while the container runs.

Used by `server.logs`. Semantics of kuberuntime/logs: tailLines first, then the time filter, limitBytes
on the output; a partial record has no newline of its own. Following waits for inotify events, it never
polls.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from components.kubelet.logs.inotify import FileWatch
from components.kubelet.logs.tail import Record, parse

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class LogOptions:
    follow: bool = False
    tail_lines: int | None = None
    since: str = ""  # RFC 3339 with nanoseconds, as the records have
    timestamps: bool = False
    limit_bytes: int | None = None


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines of the file begin."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return position
        wanted = lines + 1  # the last line ends with a newline, too
        while position > 0:
            size = min(_CHUNK, position)
            file.seek(position - size)
            block = file.read(size)
            count = block.count(b"\n")
            if count >= wanted:
                for _ in range(wanted):
                    size = block.rfind(b"\n", 0, size)
                return position - len(block) + size + 1
            wanted -= count
            position -= len(block)
        return 0


def render(record: Record, options: LogOptions) -> bytes:
    prefix = record.time.encode() + b" " if options.timestamps else b""
    return prefix + record.text + (b"" if record.partial else b"\n")


async def read(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Output in pieces; ends with the file, or when following with the container."""
    if not _exists(path):
        return
    left = options.limit_bytes
    offset = tail_offset(path, options.tail_lines) if options.tail_lines is not None else 0
    watch = FileWatch(path) if options.follow else None
    try:
        with path.open("rb") as file:
            file.seek(offset)
            rest = b""
            while True:
                alive = running()
                data = file.read(_CHUNK)
                *lines, rest = (rest + data).split(b"\n")
                piece = b"".join(_selected(lines, options))
                if left is not None:
                    piece, left = piece[:left], left - len(piece)
                if piece:
                    yield piece
                if left is not None and left <= 0:
                    return
                if data:
                    continue
                if watch is None or not alive:
                    return
                await watch.changed(timeout=5.0)
    finally:
        if watch is not None:
            watch.close()


def _exists(path: Path) -> bool:
    """A container that failed to start has no log."""
    return path.exists()


def _selected(lines: list[bytes], options: LogOptions) -> list[bytes]:
    out = []
    for line in lines:
        record = parse(line)
        if record is not None and record.time >= options.since:
            out.append(render(record, options))
    return out
