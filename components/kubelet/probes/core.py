"""One probe's thresholds (P): turns single results into the container's liveness, readiness or started state.

Fed by `probes.worker`, which owns the clock and the requests. As prober/worker.go: liveness starts good,
readiness bad, startup unknown; a state changes after `successThreshold` or `failureThreshold` equal
results in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["liveness", "readiness", "startup"]


@dataclass(frozen=True)
class Timing:
    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: Mapping[str, Any]) -> Timing:
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("successThreshold") or 1),
            int(probe.get("failureThreshold") or 3),
        )


class ProbeState:
    def __init__(self, kind: Kind, timing: Timing) -> None:
        self.kind, self.timing = kind, timing
        self.result: bool | None = {"liveness": True, "readiness": False, "startup": None}[kind]
        self._last: bool | None = None
        self._run = 0

    def record(self, success: bool) -> bool:
        """Note one result; True if the state that others see has changed."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        threshold = self.timing.success_threshold if success else self.timing.failure_threshold
        if self._run < threshold or self.result == success:
            return False
        self.result = success
        return True
