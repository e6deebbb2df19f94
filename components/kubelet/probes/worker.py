"""Runs the probes of all running containers: one task per container and probe, its thresholds in
`probes.core`.

Told by `pods.worker` which containers run (`ensure`) and which ended (`forget`); tells it about changes
through `on_change(pod uid)`. Liveness and readiness wait for the startup probe.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.kubelet.probes.core import Kind, ProbeState, Timing
from components.kubelet.probes.probers import Prober

Object = dict[str, Any]
Reporter = Callable[[Object, Object, str, str, str], None]  # (pod, container, type, reason, message)
_FIELDS: dict[Kind, str] = {
    "startup": "startupProbe",
    "liveness": "livenessProbe",
    "readiness": "readinessProbe",
}

_FIRST_PROBE = 0.15  # seconds after the start of a container whose probe has no initial delay


@dataclass
class _Running:
    states: dict[Kind, ProbeState]
    tasks: list[asyncio.Task[None]]
    started: asyncio.Event


class ProbeManager:
    def __init__(
        self, prober: Prober, on_change: Callable[[str], None], report: Reporter, rng: random.Random
    ) -> None:
        self._prober, self._on_change, self._report, self._rng = prober, on_change, report, rng
        self._running: dict[str, _Running] = {}

    def ensure(self, pod: Object, container: Object, container_id: str, pod_ip: str) -> None:
        """Probe this running container, if that does not happen already."""
        if container_id in self._running:
            return
        running = _Running({}, [], asyncio.Event())
        self._running[container_id] = running
        for kind, field in _FIELDS.items():
            spec = container.get(field)
            if spec:
                running.states[kind] = ProbeState(kind, Timing.of(spec))
                loop = self._loop(kind, spec, running, pod, container, container_id, pod_ip)
                running.tasks.append(asyncio.create_task(loop, name=f"{kind} probe of {container['name']}"))
        if "startup" not in running.states:
            running.started.set()

    def forget(
        self, container_id: str, kinds: tuple[Kind, ...] = ("startup", "liveness", "readiness")
    ) -> None:
        running = self._running.get(container_id)
        if running is None:
            return
        for task in running.tasks:
            if task.get_name().split(" ")[0] in kinds:
                task.cancel()
        if len(kinds) == len(_FIELDS):
            del self._running[container_id]

    async def close(self) -> None:
        tasks = [task for running in self._running.values() for task in running.tasks]
        for container_id in list(self._running):
            self.forget(container_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def failed(self) -> dict[str, str]:
        """Containers that are to be restarted: id -> the probe that failed."""
        out = {}
        for container_id, running in self._running.items():
            for kind in ("liveness", "startup"):
                state = running.states.get(kind)
                if state is not None and state.result is False:
                    out[container_id] = kind
        return out

    def started(self, container_id: str) -> bool:
        running = self._running.get(container_id)
        return running is not None and running.started.is_set()

    def ready(self, container_id: str) -> bool:
        running = self._running.get(container_id)
        if running is None or not running.started.is_set():
            return False
        state = running.states.get("readiness")
        return state is None or state.result is True

    async def _loop(
        self,
        kind: Kind,
        spec: Object,
        running: _Running,
        pod: Object,
        container: Object,
        container_id: str,
        pod_ip: str,
    ) -> None:
        state = running.states[kind]
        timing = state.timing
        if kind != "startup":
            await running.started.wait()
        # A program needs a moment to open its port; a probe before that would cost a whole period.
        await asyncio.sleep(timing.initial_delay or _FIRST_PROBE + self._rng.random() * 0.1)
        while True:
            ok, output = await self._prober.probe(spec, container, container_id, pod_ip, timing.timeout)
            if not ok:
                message = f"{kind.capitalize()} probe failed: {output}"
                self._report(pod, container, "Warning", "Unhealthy", message)
            if state.record(ok):
                if kind == "startup" and ok:
                    running.started.set()
                self._on_change(pod["metadata"]["uid"])
            if kind == "startup" and state.result is not None:
                return
            await asyncio.sleep(timing.period)
