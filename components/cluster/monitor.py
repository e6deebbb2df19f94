"""Watches the masters for the supervisor: one task a master asks its admin socket for its status.

A master is ready when it says so, and lost when it ends, answers no more, or says it is not. One that is silent
because it works (a burst of TLS handshakes, say) is not lost so soon: its connections would be cut for nothing,
and come back as another burst. The first master that is ready is also asked for the nodes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.status import MemberAnswer, NodeStatus

logger = logging.getLogger(__name__)

FAST, STEADY = 0.04, 0.25  # seconds between two questions: until a master is ready, and afterwards
ANSWER_TIMEOUT = 1.0  # a master silent for this long, and idle meanwhile, serves nobody
BUSY_TIMEOUT = 10.0  # one that works all the time may be silent for this long
BUSY_SHARE = 0.2  # of one core; less is not work
STARTING_TIMEOUT = 10.0  # but one that starts may be busy loading


class MasterMonitor:
    """Follows one master. `report(answer)` is called with each answer, `report(None)` when it does not
    answer. `pid()` is its process while it runs.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        report: Callable[[MemberAnswer | None], None],
        pid: Callable[[], int | None],
    ) -> None:
        self._name = name
        self._path = path
        self._report = report
        self._pid = pid
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
                answer = msgspec.convert(await self._ask(connection), MemberAnswer)
                self._ready = answer.ready
                self._report(answer)
                await asyncio.sleep(STEADY if self._ready else FAST)
        finally:
            await connection.close()

    async def _ask(self, connection: ipc.Connection) -> object:
        if not self._ready:
            return await connection.call("status", timeout=STARTING_TIMEOUT)
        asking = asyncio.ensure_future(connection.call("status", timeout=BUSY_TIMEOUT))
        try:
            while True:
                used = _cpu_seconds(self._pid())
                await asyncio.wait((asking,), timeout=ANSWER_TIMEOUT)
                if asking.done():
                    return asking.result()
                if _cpu_seconds(self._pid()) - used < BUSY_SHARE * ANSWER_TIMEOUT:
                    raise TimeoutError(f"silent and idle for {ANSWER_TIMEOUT:g} s")
        finally:
            asking.cancel()


def _cpu_seconds(pid: int | None) -> float:
    """Processor time a process has used; 0 if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
