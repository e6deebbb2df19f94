"""A store whose answer a test holds back, to look at what happens meanwhile."""

from __future__ import annotations

import asyncio

from apiserver.storage.interface import Stored
from apiserver.storage.memory import MemoryStorage


class SlowStorage(MemoryStorage):
    """Answers a read of a key that ends with ``slow`` when it is ``let``; ``asked`` tells of the first."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self._slow = slow
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        if key.endswith(self._slow):
            self.asked.set()
            await self.let.wait()
        return await super().get(key, min_revision=min_revision, linearizable=linearizable)
