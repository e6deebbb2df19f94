"""Notices when an event loop stands still: a master that stalls for an election timeout loses its office."""

from __future__ import annotations

import asyncio
import logging

logger = logging.getLogger(__name__)

INTERVAL = 0.05
THRESHOLD = 0.1


class StallWatch:
    """Counts how often the loop was over 100 ms late for a timer; `longest` is in seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            late = loop.time() - due
            if late > THRESHOLD:
                self.count += 1
                self.longest = max(self.longest, late)
                logger.warning("the event loop stood still for %.0f ms", late * 1000)
