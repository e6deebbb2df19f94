"""Reading and writing non-blocking file descriptors (pipes, terminals) from the event loop, one piece at a time.

Used by `runtime.process.sessions`. Pull-based on purpose: a descriptor is read only when its last piece has been
passed on, so a slow client stops the program that writes, and nothing is buffered here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable

_CHUNK = 32 * 1024


class Descriptor:
    """Owns `fd`. One task may read and one may write at a time; `close` ends both."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def fileno(self) -> int:
        return self._fd

    async def read(self) -> bytes:
        """The next piece, b"" at the end. A terminal that nobody has open any more is at its end."""
        while not self.closed:
            try:
                return os.read(self._fd, _CHUNK)
            except BlockingIOError:
                await self._ready(
                    asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader
                )
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise
        return b""

    async def write(self, data: bytes) -> None:
        """All of `data`. Raises BrokenPipeError when nobody reads it any more."""
        view = memoryview(data)
        while view:
            if self.closed:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._ready(
                    asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer
                )

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        fd = self._fd
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        add(fd, _wake, ready)
        self._waiting.add(ready)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if not self.closed:
                remove(fd)

    def close(self) -> None:
        """Whoever waits is woken and finds it closed."""
        if self.closed:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1
        for ready in self._waiting:
            _wake(ready)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
