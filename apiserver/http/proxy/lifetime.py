"""How long a streamed answer may go on: until it is done, its client is gone, or this server is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from apiserver.http.scope import Exchange

T = TypeVar("T")
_LOOK_SECONDS: Final = 1.0  # a client that is gone is noticed by then, also while nothing is sent to it


class CutOff(ConnectionError):
    """The client is gone, or this server is being stopped: the work was not finished."""


async def attended(exchange: Exchange, work: Coroutine[Any, Any, T], *, watch_client: bool = True) -> T:
    """What `work` returns. Raises what it raises, or CutOff."""
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
            return task.result()
        raise CutOff("cut off")
    finally:
        stopping.forget(stop)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
