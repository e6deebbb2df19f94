"""Waiting for a file to change without polling (Linux inotify), for `logs -f`."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVE_SELF = 0x2, 0x8, 0x800
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    def __init__(self, path: Path) -> None:
        self._fd: int = _libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify: " + os.strerror(ctypes.get_errno()))
        mask = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVE_SELF
        if _libc.inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            code = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(code, f"{path}: {os.strerror(code)}")
        self._event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def _ready(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 4096)
        self._event.set()

    async def changed(self, timeout: float) -> None:
        """Until the file changed, or `timeout` seconds passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
