"""What scheduler, controllers, kubelet and admission all ask of a pod: readiness, requests, QoS class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from apiserver.api import conditions
from apiserver.api.meta import is_deleting
from apiserver.api.quantity import ZERO, Quantity, parse_quantity

Pod = Mapping[str, Any]
Resources = dict[str, Quantity]

_QOS_RESOURCES: Final = ("cpu", "memory")
_POD_LEVEL: Final = ("cpu", "memory")


def phase(pod: Pod) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def is_pod_terminal(pod: Pod) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_pod_active(pod: Pod) -> bool:
    return not is_pod_terminal(pod) and not is_deleting(pod)


def is_pod_ready(pod: Pod) -> bool:
    return conditions.has_condition(dict(pod), "Ready")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """A restartable init container."""
    return container.get("restartPolicy") == "Always"


def containers(pod: Pod) -> list[dict[str, Any]]:
    return (pod.get("spec") or {}).get("containers") or []


def init_containers(pod: Pod) -> list[dict[str, Any]]:
    return (pod.get("spec") or {}).get("initContainers") or []


def _amounts(container: Mapping[str, Any], field: str) -> Resources:
    listed = (container.get("resources") or {}).get(field) or {}
    return {name: parse_quantity(value) for name, value in listed.items()}


def _add(total: Resources, more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, ZERO) + amount


def _raise_to(total: Resources, floor: Mapping[str, Quantity]) -> None:
    for name, amount in floor.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def _aggregate(pod: Pod, field: str) -> Resources:
    """Sum over containers and sidecars, raised to what the init phase needs at its widest."""
    total: Resources = {}
    for container in containers(pod):
        _add(total, _amounts(container, field))
    sidecars: Resources = {}
    widest: Resources = {}
    for container in init_containers(pod):
        amounts = _amounts(container, field)
        if is_sidecar(container):
            _add(total, amounts)
            _add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            _add(amounts, sidecars)
        _raise_to(widest, amounts)
    _raise_to(total, widest)
    return total


def _with_pod_level(pod: Pod, field: str, total: Resources) -> Resources:
    for name, amount in _amounts(pod.get("spec") or {}, field).items():
        if name in _POD_LEVEL or name.startswith("hugepages-"):
            total[name] = amount
    return total


def pod_requests(pod: Pod) -> Resources:
    """Requests of the whole pod, overhead included, by resource name."""
    total = _with_pod_level(pod, "requests", _aggregate(pod, "requests"))
    overhead = (pod.get("spec") or {}).get("overhead") or {}
    _add(total, {name: parse_quantity(value) for name, value in overhead.items()})
    return total


def pod_limits(pod: Pod) -> Resources:
    total = _with_pod_level(pod, "limits", _aggregate(pod, "limits"))
    overhead = (pod.get("spec") or {}).get("overhead") or {}
    _add(total, {name: parse_quantity(value) for name, value in overhead.items() if name in total})
    return total


def _positive(container: Mapping[str, Any], field: str) -> Resources:
    return {
        name: amount
        for name, amount in _amounts(container, field).items()
        if name in _QOS_RESOURCES and amount > ZERO
    }


def _sum(items: Iterable[Resources]) -> Resources:
    total: Resources = {}
    for item in items:
        _add(total, item)
    return total


def pod_qos(pod: Pod) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``; the recorded class wins once there is one."""
    recorded = (pod.get("status") or {}).get("qosClass")
    return recorded or compute_pod_qos(pod)


def compute_pod_qos(pod: Pod) -> str:
    spec = pod.get("spec") or {}
    parts = [spec] if spec.get("resources") else [*containers(pod), *init_containers(pod)]
    requests = [_positive(part, "requests") for part in parts]
    limits = [_positive(part, "limits") for part in parts]
    if not any(requests) and not any(limits):
        return "BestEffort"
    if all(len(limit) == len(_QOS_RESOURCES) for limit in limits) and _sum(requests) == _sum(limits):
        return "Guaranteed"
    return "Burstable"
