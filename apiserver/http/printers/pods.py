"""Pods: the status column is the most telling reason among phase, container states and deletion (``printPod``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from apiserver.api.meta import parse_time
from apiserver.http.printers.common import NONE, age, duration

Object = dict[str, Any]
_ENDED: Final = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


@dataclass(slots=True)
class _Summary:
    """What the containers add up to. ``last``: when the last container that restarted had ended."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last: str = ""
    sidecars: set[str] = field(default_factory=set)

    def count(self, container: Object) -> None:
        self.restarts += int(container.get("restartCount") or 0)
        terminated = (container.get("lastState") or {}).get("terminated") or {}
        self.last = max(self.last, terminated.get("finishedAt") or "")


def pod(obj: Object, now: datetime) -> list[Any]:
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    found = _summary(obj)
    total = len(spec.get("containers") or ()) + len(found.sidecars)
    return [
        metadata.get("name", ""),
        f"{found.ready}/{total}",
        found.reason,
        _restarts(found, now),
        age(metadata.get("creationTimestamp"), now),
        (status.get("podIPs") or [{}])[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def ended(obj: Object) -> list[Object]:
    """The row conditions of a pod that runs no more."""
    reason = _ENDED.get((obj.get("status") or {}).get("phase") or "")
    if reason is None:
        return []
    return [{"type": "Completed", "status": "True", "reason": reason[0], "message": reason[1]}]


def _restarts(found: _Summary, now: datetime) -> str:
    if not found.restarts or not found.last:
        return str(found.restarts)
    return f"{found.restarts} ({duration((now - parse_time(found.last)).total_seconds())} ago)"


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return NONE
    first: dict[str, Any] = {}
    for condition in status.get("conditions") or ():
        first.setdefault(condition.get("type"), condition.get("status"))
    return f"{sum(first.get(gate.get('conditionType')) == 'True' for gate in gates)}/{len(gates)}"


def _summary(obj: Object) -> _Summary:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    found = _Summary(_phase(status))
    found.sidecars = {
        c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"
    }
    initializing = _initializing(found, spec, status)
    if not initializing or _true(status, "Initialized"):
        _running(found, status)
    if obj["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            found.reason = "Unknown"
        elif status.get("phase") not in _ENDED:
            found.reason = "Terminating"
    return found


def _phase(status: Object) -> str:
    gated = any(
        c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
        for c in status.get("conditions") or ()
    )
    return "SchedulingGated" if gated else status.get("reason") or status.get("phase") or ""


def _initializing(found: _Summary, spec: Object, status: Object) -> bool:
    """Whether an init container is still at work or has failed; its state is then the reason."""
    for at, container in enumerate(status.get("initContainerStatuses") or ()):
        found.count(container)
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container.get("name") in found.sidecars and container.get("started"):
            found.ready += bool(container.get("ready"))
            continue
        waiting = (state.get("waiting") or {}).get("reason") or ""
        if terminated is not None:
            found.reason = "Init:" + _terminated(terminated)
        elif waiting and waiting != "PodInitializing":
            found.reason = "Init:" + waiting
        else:
            found.reason = f"Init:{at}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _running(found: _Summary, status: Object) -> None:
    """Once initialised, only sidecars and the containers proper count as restarted."""
    found.restarts, found.last = 0, ""
    for container in status.get("initContainerStatuses") or ():
        if container.get("name") in found.sidecars:
            found.count(container)
    runs = False
    for container in reversed(status.get("containerStatuses") or []):
        found.count(container)
        state = container.get("state") or {}
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting:
            found.reason = waiting
        elif state.get("terminated") is not None:
            found.reason = _terminated(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            runs = True
            found.ready += 1
    if found.reason == "Completed" and runs:
        found.reason = "Running" if _true(status, "Ready") else "NotReady"


def _true(status: Object, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in status.get("conditions") or ())


def _terminated(state: Object) -> str:
    if state.get("reason"):
        return str(state["reason"])
    if state.get("signal"):
        return f"Signal:{state['signal']}"
    return f"ExitCode:{state.get('exitCode', 0)}"
