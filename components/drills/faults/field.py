"""What a fault works on: the cluster, the drill's clients, dice of its own, and a place to say what was done.

A fault is a coroutine function `(field, planned, undo)`. It puts onto `undo` what takes it back *before* it does
anything, does it, and waits with `field.during` for as long as it lasts; `runner` unwinds `undo` in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from components.client.errors import ApiError
from components.client.resources import LEASES
from components.cluster.errors import ClusterError
from components.cluster.status import ClusterStatus, ProcessStatus
from components.drills.observed import Observed
from components.drills.schedule import Planned, choose
from components.drills.site import Site
from components.drills.workload.crew import Crew

T = TypeVar("T")
PATIENCE = 30.0
SETTLED = 1.5
"""Seconds in which a master that is going to end says so: its supervisor asks it four times a second."""
PAUSE = 0.05
_LEASES = {"controllers": "kube-controller-manager", "scheduler": "kube-scheduler"}


@dataclass
class Field:
    """`say(text, step)` notes that a fault has begun."""

    site: Site
    crew: Crew
    seen: Observed
    dice: random.Random
    say: Callable[[str, int], None]

    async def during(self, planned: Planned, text: str) -> None:
        """The fault has begun: say so, and let it last."""
        self.say(text, planned.number)
        await asyncio.sleep(planned.length)

    async def resolve(self, target: str) -> str:
        """The process that a target names at this moment. Raises ClusterError."""
        names = [*self.site.masters, *self.site.workers]
        if target in _LEASES:
            return await self._holder(_LEASES[target])
        if target == "busy-worker":
            return await self.crew.busy_worker() or self.dice.choice(self.site.workers)
        if target == "any-worker":
            return self.dice.choice(self.site.workers)
        if target in ("leader", "follower"):
            names = list(self.site.masters)
        try:
            return choose(target, names, await self.leader(), self.dice)
        except LookupError as error:
            raise ClusterError(str(error), "correct the drill's target") from error

    async def leader(self) -> str:
        """Who leads the store; waits a while for somebody to."""
        return await self._eventually(lambda status: status.leader) or ""

    async def _eventually(self, probe: Callable[[ClusterStatus], T]) -> T | None:
        """The first true answer about the cluster's status; None when there is none in time."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(ClusterError, TimeoutError):
                answer = probe(await self.site.status())
                if answer:
                    return answer
            await asyncio.sleep(PAUSE)
        return None

    async def _holder(self, lease: str) -> str:
        """Identities of a cluster's own components are the masters' names."""
        async with self.site.client() as client:
            try:
                found = await client.get(LEASES, lease, "kube-system")
            except ApiError as error:
                raise ClusterError(f"the Lease {lease} cannot be read: {error}", "try again") from error
        holder = str(found.get("spec", {}).get("holderIdentity") or "")
        return (
            next((name for name in self.site.masters if holder.startswith(name)), "") or await self.leader()
        )

    async def process(self, name: str) -> ProcessStatus:
        """Raises ClusterError when the supervisor does not answer."""
        status = await self.site.status()
        return next(process for process in status.processes if process.name == name)

    async def signal(self, name: str, number: signal.Signals) -> None:
        await self.site.supervisor("kill", name=name, signal=number.value)

    async def stopped(self, name: str) -> None:
        """Returns when the process has ended. Raises ClusterError."""
        await self._until(name, lambda process: process.state == "stopped", "has ended")

    async def ready(self, name: str) -> None:
        await self._until(name, lambda process: process.state == "ready", "is ready")

    async def _until(self, name: str, probe: Callable[[ProcessStatus], bool], what: str) -> None:
        def asked(status: ClusterStatus) -> bool:
            return probe(next(process for process in status.processes if process.name == name))

        if not await self._eventually(asked):
            raise ClusterError(f"not within {PATIENCE:.0f} s: {name} {what}", "look at: kuberaft status")

    async def settled(self, name: str) -> None:
        """Returns when the process has ended, or has been ready for a while without a break."""
        since = 0.0

        def probe(process: ProcessStatus) -> bool:
            nonlocal since
            now = asyncio.get_running_loop().time()
            since = (since or now) if process.state == "ready" else 0.0
            return process.state == "stopped" or bool(since and now - since >= SETTLED)

        await self._until(name, probe, "has ended, or is ready")

    async def came_up(self, name: str) -> bool:
        """Whether it is ready in time, and did not end instead. Raises ClusterError."""
        ended = False

        def probe(process: ProcessStatus) -> bool:
            nonlocal ended
            ended = process.state == "stopped"
            return ended or process.state == "ready"

        await self._until(name, probe, "is ready")
        return not ended

    async def heard_of(self, node: str, began: float) -> None:
        """Returns when the node has reported since `began` (of the epoch): reports have whole seconds, so that one of
        the same second may be the last of the kubelet before. Raises ClusterError.
        """

        def probe(status: ClusterStatus) -> bool:
            return any(n.name == node and n.heartbeat > began for n in status.nodes)

        if not await self._eventually(probe):
            raise ClusterError(
                f"not within {PATIENCE:.0f} s: {node} reports its state", "look at: kuberaft status"
            )

    async def start(self, name: str, program: str = "") -> None:
        """Start it, unless it runs; `program`: by another interpreter."""
        if (await self.process(name)).state != "stopped":
            return
        await self.site.supervisor("start", name=name, program=program)

    async def running_again(self, name: str) -> None:
        """What takes an orderly end back, at whichever point of it: one that was told to end may still serve, and
        must have ended before it is started.
        """
        await self.settled(name)
        await self.start(name)

    async def restart(self, name: str) -> None:
        """What takes a kill back: wait for the end, then start."""
        await self.stopped(name)
        await self.start(name)


Inject: TypeAlias = Callable[[Field, Planned, AsyncExitStack], Awaitable[None]]
