"""Reads the end of a log file, and follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

_BLOCK = 64 * 1024


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines (of the last 64 KiB); [] when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _BLOCK))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


async def follow(path: Path, interval: float = 0.2) -> AsyncIterator[str]:
    """What is appended to `path` from now on, until cancelled; begins anew when the file is replaced or cut."""
    position = path.stat().st_size if path.exists() else 0
    inode = path.stat().st_ino if path.exists() else 0
    while True:
        if path.exists():
            found = path.stat()
            if found.st_ino != inode or found.st_size < position:
                position, inode = 0, found.st_ino
            if found.st_size > position:
                with path.open("rb") as file:
                    file.seek(position)
                    data = file.read()
                position += len(data)
                yield data.decode(errors="replace")
        await asyncio.sleep(interval)
