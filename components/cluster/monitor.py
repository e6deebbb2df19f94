"""Watches the masters for the supervisor: one task a master asks its admin socket for its status.

A master is ready when it says so, and lost when it ends, answers no more, or says it is not. The first
master that is ready is also asked for the nodes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.status import MemberAnswer, NodeStatus

logger = logging.getLogger(__name__)

FAST, STEADY = 0.04, 0.25  # seconds between two questions: until a master is ready, and afterwards
ANSWER_TIMEOUT = 1.0  # a master silent for this long serves nobody
STARTING_TIMEOUT = 10.0  # but one that starts may be busy loading


class MasterMonitor:
    """Follows one master. `report(answer)` is called with each answer, `report(None)` when it does not
    answer.
    """

    def __init__(self, name: str, path: Path, report: Callable[[MemberAnswer | None], None]) -> None:
        self._name = name
        self._path = path
        self._report = report
        self._ready = False

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self._follow()
            except (ClusterError, OSError, TimeoutError, ValueError) as error:
                if self._ready:
                    logger.warning(
                        "master %s no longer answers: %s", self._name, error or type(error).__name__
                    )
                self._ready = False
                self._report(None)
            await asyncio.sleep(FAST)

    async def _follow(self) -> None:
        connection = await ipc.Connection.open(self._path)
        try:
            while True:
                timeout = ANSWER_TIMEOUT if self._ready else STARTING_TIMEOUT
                answer = msgspec.convert(await connection.call("status", timeout=timeout), MemberAnswer)
                self._ready = answer.ready
                self._report(answer)
                await asyncio.sleep(STEADY if self._ready else FAST)
        finally:
            await connection.close()


class NodeMonitor:
    """Asks whichever master `choose()` names for the nodes. `report(nodes)` gets each answer."""

    def __init__(self, choose: Callable[[], Path | None], report: Callable[[list[NodeStatus]], bool]) -> None:
        self._choose = choose
        self._report = report

    async def run(self) -> None:
        """Ask until cancelled: often while `report` returns False (not everything is ready), then slowly."""
        settled = False
        while True:
            path = self._choose()
            if path is not None:
                started = time.monotonic()
                try:
                    answer = await ipc.call(path, "nodes", timeout=ANSWER_TIMEOUT)
                    settled = self._report(msgspec.convert(answer, list[NodeStatus]))
                except (ClusterError, OSError, TimeoutError) as error:
                    logger.debug("no answer about nodes after %.1f s: %s", time.monotonic() - started, error)
            await asyncio.sleep(4 * STEADY if settled else 2 * FAST)
