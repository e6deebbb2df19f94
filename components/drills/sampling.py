"""Looks at the cluster ten times a second while a drill runs: who leads, how many masters and nodes work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType

from components.cluster.errors import ClusterError
from components.cluster.status import ClusterStatus
from components.drills.faults.store import statuses
from components.drills.observed import Observed, Sample
from components.drills.recording.recorder import Recorder
from components.drills.site import Site

EVERY = 0.1


class Sampler:
    """`async with Sampler(...)`: samples go to `seen`; `told` is called after each."""

    def __init__(self, site: Site, seen: Observed, told: Callable[[], None]) -> None:
        self._site, self._seen, self._told = site, seen, told
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sampler:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._seen.samples.append(await self._sample())
            self._told()
            await asyncio.sleep(EVERY)

    async def _sample(self) -> Sample:
        now = round(self._seen.seconds(Recorder.now()), 3)
        if self._site.layout is None:
            return await self._of_store(now)
        with contextlib.suppress(ClusterError, TimeoutError):
            return of_supervisor(now, await self._site.status())
        return Sample(now, "", 0, 0, 0)

    async def _of_store(self, now: float) -> Sample:
        found = await statuses(self._site.store)
        leading = [(s.raftTerm, e.address) for e, s in found if s.leader == s.header.member_id]
        term, leader = max(leading, default=(0, ""))
        return Sample(now, leader, term, len(found), 0)


def of_supervisor(now: float, status: ClusterStatus) -> Sample:
    """A sample from what the supervisor says."""
    term = max((member.term for member in status.members), default=0)
    masters = sum(process.kind == "master" and process.state == "ready" for process in status.processes)
    nodes = sum(node.ready == "True" for node in status.nodes)
    return Sample(now, status.leader, term, masters, nodes)
