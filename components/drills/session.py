"""From a drill and where it runs to outcomes and an exit status: `kuberaft drill` is this, with options read.

Makes the site, runs as often as asked, judges, writes the report. Ctrl-C and SIGTERM cancel the run: faults are
undone and a cluster of the drill's own is removed before the process ends.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from components.cluster.layout import Layout
from components.drills import sites
from components.drills.events import Tell
from components.drills.observed import Observed
from components.drills.program import program_of
from components.drills.report import write
from components.drills.report.outcome import Outcome, summary
from components.drills.runner import Run
from components.drills.site import Site, reachable, require
from components.drills.spec import Drill, UpgradeEach
from components.drills.verdict import decide


@dataclass(frozen=True)
class Place:
    """Where a drill runs: `layout`, a cluster that runs there; `kubeconfig` and `etcd`; or nothing: its own."""

    layout: Layout | None = None
    kubeconfig: Path | None = None
    etcd: str = ""
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Asked:
    """`repeat` runs with the seeds `seed`, `seed` + 1, ...; `report`: a directory, or None."""

    name: str
    drill: Drill
    place: Place
    repeat: int = 1
    seed: int = 0
    report: Path | None = None
    namespace: bool = False
    """This process is in a network of its own (`links.enter_namespace`)."""


def perform(asked: Asked, tell: Tell) -> list[Outcome]:
    """Every run's outcome. Raises ClusterError when a run cannot begin; KeyboardInterrupt after Ctrl-C."""
    return asyncio.run(_perform(asked, tell))


async def _perform(asked: Asked, tell: Tell) -> list[Outcome]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for step in asked.drill.timeline:
        if isinstance(step, UpgradeEach):
            await program_of(step.to)
    seed = asked.seed or random.randrange(1, 1 << 30)
    outcomes = []
    for number in range(asked.repeat):
        tell(
            {
                "event": "run",
                "drill": asked.name,
                "run": number + 1,
                "runs": asked.repeat,
                "seed": seed + number,
            }
        )
        outcomes.append(await _once(asked, seed + number, number + 1, tell))
        if asked.report is not None:
            await asyncio.to_thread(write, asked.report, outcomes)
    report = None if asked.report is None else str(asked.report)
    tell({"event": "end", "passed": all(o.verdict.passed for o in outcomes), "report": report})
    return outcomes


async def _once(asked: Asked, seed: int, number: int, tell: Tell) -> Outcome:
    tell({"event": "phase", "phase": "start", "time": 0.0})
    async with _site(asked) as site:
        require(asked.drill, site)
        await reachable(site)
        seen = await Run(asked.drill, site, seed, tell).observe()
        kind, network = site.kind, site.network
    tell({"event": "phase", "phase": "judge", "time": round(seen.end, 3)})
    outcome = await asyncio.to_thread(_judged, asked, seed, seen, kind, network)
    tell({"event": "verdict", "run": number, **summary(outcome)})
    return outcome


def _judged(asked: Asked, seed: int, seen: Observed, kind: str, network: str) -> Outcome:
    return Outcome(asked.name, asked.drill, seed, kind, network, seen, decide(asked.drill, seen))


@asynccontextmanager
async def _site(asked: Asked) -> AsyncIterator[Site]:
    place = asked.place
    if place.layout is None and place.kubeconfig is None and not place.etcd:
        async with sites.own(asked.drill, lambda line: None, namespace=asked.namespace) as site:
            yield site
        return
    if place.layout is not None:
        site = await sites.running(place.layout)
    else:
        site = sites.remote(place.kubeconfig, place.etcd, place.ca, place.cert, place.key)
    try:
        yield site
    finally:
        await site.close()
