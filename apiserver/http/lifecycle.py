"""Where a server is in its life, and how many requests it works on.

    starting ──▶ serving ──▶ shutting down ──▶ draining ──▶ stopped

Told by ``apiserver.server``; asked by ``/readyz``, the drain filter and whoever owns the process. Shutting down:
``/readyz`` fails, everything is still served, so that load balancers and endpoints move on. Draining: no new
connections, watches end, what is under way is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Lifecycle:
    """``shutting_down`` never becomes false again. ``under_way`` counts requests, watches among them."""

    def __init__(self) -> None:
        self.shutting_down = False
        self.under_way = 0
        self._drained: asyncio.Event | None = None

    def begin_shutdown(self) -> None:
        self.shutting_down = True

    @contextmanager
    def request(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            if self._drained is not None and not self.under_way:
                self._drained.set()

    async def drained(self, limit: float) -> bool:
        """Waits until nothing is under way; False when that takes longer than ``limit`` seconds."""
        if not self.under_way:
            return True
        self._drained = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._drained.wait()
        return not self.under_way
