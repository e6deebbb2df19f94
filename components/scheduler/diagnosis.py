"""Why a pod was not scheduled, in the original's words (P); shown in its condition and events.

Preemption does not exist here yet. Where it could not have helped, the message is the original's;
where pods of lower priority run on a node, it says that they are not preempted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from components.scheduler.algorithm import Rejected
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

NO_NODES = "no nodes available to schedule pods"
_NO_VICTIMS = "No preemption victims found for incoming pod"
_NOT_HELPFUL = "Preemption is not helpful for scheduling"
_NOT_PREEMPTED = "Pods of lower priority are not preempted by this scheduler"


def fit_error(pod: PodInfo, rejected: Rejected, nodes: Iterable[NodeInfo]) -> str:
    """E.g. `0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: ...`"""
    if not rejected.total:
        return NO_NODES
    reasons = Counter(reason for rejection in rejected.nodes.values() for reason in rejection.reasons)
    return f"{_available(rejected.total, reasons)} preemption: {_preemption(pod, rejected, nodes)}"


def _preemption(pod: PodInfo, rejected: Rejected, nodes: Iterable[NodeInfo]) -> str:
    if pod.spec.get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    reasons: Counter[str] = Counter()
    for node in nodes:
        rejection = rejected.nodes.get(node.name)
        if rejection is None:
            continue
        if rejection.unresolvable:
            reasons[_NOT_HELPFUL] += 1
        else:
            lower = any(other.priority < pod.priority for other in node.pods.values())
            reasons[_NOT_PREEMPTED if lower else _NO_VICTIMS] += 1
    return _available(rejected.total, reasons)


def _available(total: int, reasons: Counter[str]) -> str:
    listed = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{total} nodes are available: {', '.join(listed)}."
