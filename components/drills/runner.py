"""One run of a drill: clients, a steady state, faults on their timeline, recovery, calm; what was seen comes back.

Fed by `session` with a site. Faults are undone whatever happens: each has a stack of its own (`faults.field`) that
is unwound when it is over, when another one failed, and when the run is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from contextlib import AsyncExitStack

from components.client.errors import ApiError
from components.cluster.errors import ClusterError
from components.cluster.quantities import seconds
from components.drills.events import Tell
from components.drills.faults.field import Field
from components.drills.faults.table import KINDS
from components.drills.observed import Kind, Moment, Observed
from components.drills.recording.recorder import Recorder
from components.drills.recovery import steady
from components.drills.sampling import Sampler
from components.drills.schedule import Planned, plan
from components.drills.site import Site
from components.drills.spec import Drill
from components.drills.workload.crew import Crew
from kvstore.check.history import Call, Range

STEADY_SECONDS = 30.0
RECOVERY_SECONDS = 60.0
RECOVERY_MARGIN = 5.0  # beyond what is promised, so that the figure says how much it was missed by


class Run:
    """`await Run(...).observe()` once. Raises ClusterError when it cannot even begin."""

    def __init__(self, drill: Drill, site: Site, seed: int, tell: Tell) -> None:
        self._drill, self._site, self._tell = drill, site, tell
        self._dice = random.Random(seed)
        self._planned = plan(drill, seed)
        self.seen = Observed(origin=Recorder.now(), prefix=f"drill-{secrets.token_hex(4)}-")
        self.counts: Counter[str] = Counter()
        self._crew = Crew(site, drill.workload, self.seen.prefix, self._dice, self._answered)
        self._sampler = Sampler(site, self.seen, self._sampled)

    async def observe(self) -> Observed:
        """The whole run. What the cluster does wrong is in the result, not raised."""
        try:
            await self._begin()
            async with self._sampler:
                await self._through()
        finally:
            await self._crew.close()
            if self._site.kind != "own":
                await self._clean()
        return self.seen

    async def _begin(self) -> None:
        self._phase("prepare")
        if self._site.kubeconfig is not None:
            self.seen.address = self._site.config().server
        try:
            await self._crew.prepare()
            async with asyncio.timeout(STEADY_SECONDS):
                await steady(self._site, self._crew.namespace)
            if self._crew.service is not None:
                self.seen.pods_before = await self._crew.service.restarts()
            await self._crew.start()
        except (ApiError, TimeoutError) as error:
            raise ClusterError(
                f"the cluster is not steady, the drill did not begin: {error or 'it took too long'}",
                "look at it: kuberaft status",
            ) from error

    async def _through(self) -> None:
        self._phase("steady")
        await asyncio.sleep(seconds(self._drill.steady))
        self.seen.begin = self._now()
        self._phase("faults")
        await self._faults()
        self._phase("recovery")
        await self._recover()
        self._phase("calm")
        await asyncio.sleep(seconds(self._drill.calm))
        self.seen.end = self._now()
        await self._crew.finish(self.seen)
        if self._crew.service is not None:
            self.seen.pods_after = await self._crew.service.restarts()

    async def _faults(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for planned in self._planned:
                    group.create_task(self._step(planned))
        except* (ClusterError, ApiError, OSError, TimeoutError) as failed:
            self.seen.problems += [f"a fault could not be done: {error}" for error in _leaves(failed)]

    async def _step(self, planned: Planned) -> None:
        await asyncio.sleep(planned.begin)
        field = Field(self._site, self._crew, self.seen, planned.dice(), self._began)
        try:
            async with AsyncExitStack() as undo:
                await KINDS[type(planned.step)](field, planned, undo)
        finally:
            self._moment("undone", f"{planned.kind} is undone", planned.number)

    async def _recover(self) -> None:
        began, promised = self._now(), self._drill.hypothesis.recovery
        patience = RECOVERY_SECONDS if promised is None else seconds(promised) + RECOVERY_MARGIN
        try:
            async with asyncio.timeout(patience):
                await steady(self._site, self._crew.namespace)
            self.seen.recovery = self._now() - began
        except TimeoutError:
            self.seen.problems.append(f"not everything was at work again within {patience:.0f} s")

    async def _clean(self) -> None:
        with contextlib.suppress(ApiError, ClusterError, TimeoutError):
            await self._crew.clean()

    # What is told.

    def _now(self) -> float:
        return self.seen.seconds(Recorder.now())

    def _phase(self, phase: str) -> None:
        self.seen.moments.append(Moment(round(self._now(), 3), "phase", phase))
        self._tell({"event": "phase", "phase": phase, "time": round(self._now(), 3)})

    def _began(self, text: str, step: int) -> None:
        self._moment("fault", text, step)

    def _moment(self, kind: Kind, text: str, step: int) -> None:
        moment = Moment(round(self._now(), 3), kind, text, step)
        self.seen.moments.append(moment)
        self._tell({"event": kind, "time": moment.time, "step": step, "text": text})

    def _answered(self, kind: str, call: Call) -> None:
        good = call.outcome == "ok"
        self.counts["errors" if not good else "reads" if isinstance(call.request, Range) else "writes"] += 1

    def _sampled(self) -> None:
        last = self.seen.samples[-1]
        self._tell(
            {
                "event": "state",
                "time": last.time,
                "leader": last.leader,
                "masters": last.masters,
                "nodes": last.nodes,
                **{name: self.counts[name] for name in ("reads", "writes", "errors")},
                "requests": len(self._crew.requests),
            }
        )


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
