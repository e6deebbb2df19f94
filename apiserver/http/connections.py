"""aiohttp's server, and the wait for its connections to be gone with all that was written to them.

Used by ``apiserver.server``. A process that ends while a slow client still reads its last answer would cut it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiohttp import web


class Connections(web.Server):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gone: asyncio.Event | None = None

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if self._gone is not None and not self.connections:
            self._gone.set()

    async def closed(self, limit: float) -> bool:
        """Closes every connection once its request is answered; False if some are left after ``limit`` seconds."""
        self.pre_shutdown()
        if self.connections:
            self._gone = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._gone.wait()
        return not self.connections
