"""Who is called when a file descriptor is ready: the shim's one epoll, with a handler for each descriptor.

Used by every part of the shim that owns descriptors (`server`, `containers`, `commands`, `sessions`).
"""

from __future__ import annotations

import contextlib
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watcher:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def readable(self, fd: int, handler: Callable[[], None]) -> None:
        self._watch(fd, select.EPOLLIN, handler)

    def writable(self, fd: int, handler: Callable[[], None]) -> None:
        self._watch(fd, select.EPOLLOUT, handler)

    def _watch(self, fd: int, events: int, handler: Callable[[], None]) -> None:
        os.set_blocking(fd, False)
        if fd not in self._handlers:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching; nothing happens if it is not watched."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def close(self, fd: int) -> None:
        self.forget(fd)
        os.close(fd)

    def run_once(self, timeout: float) -> None:
        for fd, _ in self._epoll.poll(timeout):
            handler = self._handlers.get(fd)  # an earlier handler may have closed it
            if handler is not None:
                handler()
