"""Pods: the status column is the most telling reason among phase, container states and deletion (``printPod``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api.meta import parse_time
from apiserver.http.printers.common import NONE, age, duration

Object = dict[str, Any]


def pod(obj: Object, now: datetime) -> list[Any]:
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    reason, restarts, ready, last = _summary(obj)
    total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    shown: Any = f"{restarts} ({_since(last, now)} ago)" if restarts and last else str(restarts)
    return [
        metadata.get("name", ""),
        f"{ready}/{total}",
        reason,
        shown,
        age(metadata.get("creationTimestamp"), now),
        ((status.get("podIPs") or [{}])[0].get("ip") or status.get("podIP")) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def _since(last: str, now: datetime) -> str:
    return duration((now - parse_time(last)).total_seconds())


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return NONE
    true = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in true for gate in gates)}/{len(gates)}"


def _sidecars(spec: Object) -> set[str]:
    return {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}


def _summary(obj: Object) -> tuple[str, int, int, str]:
    """(reason, restarts, ready containers, when the last one that restarted ended)"""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    reason = status.get("reason") or status.get("phase") or ""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    sidecars = _sidecars(spec)
    initial, restarts, ready, last = _initializing(spec, status, sidecars)
    if not initial or _initialized(status):
        found, more, count, ended = _running(status)
        if not initial:
            reason = found or reason
        restarts = sum(_restarts(c) for c in _named(status, "initContainerStatuses", sidecars)) + more
        ready += count
        last = max(last, ended)
        if (
            reason == "Completed"
            and count
            and any(_is_running(c) for c in status.get("containerStatuses") or ())
        ):
            reason = "Running" if _condition(status, "Ready") else "NotReady"
    if initial:
        reason = initial
    if obj["metadata"].get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason, restarts, ready, last


def _named(status: Object, key: str, names: set[str]) -> list[Object]:
    return [c for c in status.get(key) or () if c.get("name") in names]


def _restarts(container: Object) -> int:
    return int(container.get("restartCount") or 0)


def _ended(container: Object) -> str:
    terminated = (container.get("lastState") or {}).get("terminated") or {}
    return terminated.get("finishedAt") or ""


def _is_running(container: Object) -> bool:
    return "running" in (container.get("state") or {})


def _condition(status: Object, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in status.get("conditions") or ())


def _initialized(status: Object) -> bool:
    return _condition(status, "Initialized")


def _initializing(spec: Object, status: Object, sidecars: set[str]) -> tuple[str, int, int, str]:
    restarts, ready, last = 0, 0, ""
    statuses = status.get("initContainerStatuses") or []
    for at, container in enumerate(statuses):
        restarts += _restarts(container)
        last = max(last, _ended(container))
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            return "Init:" + _terminated(terminated), restarts, ready, last
        if waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return "Init:" + waiting["reason"], restarts, ready, last
        return f"Init:{at}/{len(spec.get('initContainers') or ())}", restarts, ready, last
    return "", restarts, ready, last


def _terminated(state: Object) -> str:
    if state.get("reason"):
        return str(state["reason"])
    if state.get("signal"):
        return f"Signal:{state['signal']}"
    return f"ExitCode:{state.get('exitCode', 0)}"


def _running(status: Object) -> tuple[str, int, int, str]:
    reason, restarts, ready, last = "", 0, 0, ""
    for container in reversed(status.get("containerStatuses") or []):
        restarts += _restarts(container)
        last = max(last, _ended(container))
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _terminated(state["terminated"] or {})
        elif container.get("ready") and "running" in state:
            ready += 1
    return reason, restarts, ready, last
