"""How long a streamed answer may go on: until it is done, its client is gone, or this server is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from apiserver.http.scope import Exchange

_LOOK_SECONDS: Final = 1.0  # a client that is gone is noticed by then, also while nothing is sent to it


async def attended(exchange: Exchange, work: Coroutine[Any, Any, None], *, watch_client: bool = True) -> bool:
    """Run `work`; false if it was cut off. What it raises is raised."""
    task = asyncio.ensure_future(work)
    stopping = exchange.services.stopping

    def stop() -> None:
        task.cancel()

    stopping.tell(stop)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_LOOK_SECONDS if watch_client else None)
            if watch_client and exchange.request.transport is None:
                break
        if task.done() and not task.cancelled():
            task.result()
            return True
        return False
    finally:
        stopping.forget(stop)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
