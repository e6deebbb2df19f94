"""Who waits until an index is applied here."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from kvstore.errors import StoreError


class AppliedWaiters:
    def __init__(self) -> None:
        self._order = itertools.count()
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []

    async def wait(self, index: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (index, next(self._order), future))
        await future

    def release(self, applied: int) -> None:
        while self._heap and self._heap[0][0] <= applied:
            future = heapq.heappop(self._heap)[2]
            if not future.done():
                future.set_result(None)

    def fail(self, error: type[StoreError]) -> None:
        for _, _, future in self._heap:
            if not future.done():
                future.set_exception(error())
        self._heap.clear()
