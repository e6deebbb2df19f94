"""Whether this node takes a pod that was bound to it (P): its selector and the resources left.

Called by `kubelet.Kubelet` once per new pod. As lifecycle/predicate.go: what the scheduler checked is
checked again, because a pod may name its node itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.api.pods import pod_requests
from apiserver.api.quantity import Quantity, parse_quantity

Object = dict[str, Any]
_CHECKED = ("cpu", "memory", "ephemeral-storage")


def refusal(
    pod: Object, others: Iterable[Object], allocatable: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[str, str] | None:
    """(reason, message) if the node does not take the pod. `others`: the active pods it already has."""
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return (
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        )
    active = list(others)
    limit = int(allocatable.get("pods", "0"))
    if len(active) + 1 > limit:
        return "OutOfpods", _text("pods", 1, len(active), limit)
    wanted, used = pod_requests(pod), [pod_requests(other) for other in active]
    for name in _CHECKED:
        if name not in wanted or name not in allocatable:
            continue
        ask, have = _amount(name, wanted[name]), _amount(name, parse_quantity(allocatable[name]))
        taken = sum(_amount(name, requests[name]) for requests in used if name in requests)
        if ask and taken + ask > have:
            return f"OutOf{name}", _text(name, ask, taken, have)
    return None


def _amount(resource: str, quantity: Quantity) -> int:
    return quantity.milli_value() if resource == "cpu" else quantity.value()


def _text(resource: str, requested: int, used: int, capacity: int) -> str:
    amounts = f"requested: {requested}, used: {used}, capacity: {capacity}"
    return f"Node didn't have enough resource: {resource}, {amounts}"
