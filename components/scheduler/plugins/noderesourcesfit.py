"""NodeResourcesFit (P): a node must have free what the pod requests. Reasons as the original's fit.go."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import ClusterEvent, EventKind, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PODS, PodInfo

_TOO_MANY_PODS = "Too many pods"


class NodeResourcesFit:
    name = "NodeResourcesFit"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        """State: the amounts wanted, as pairs, for the inner loop."""
        return tuple((name, amount) for name, amount in pod.requests.items() if name != PODS)

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        lacking = [r for r, amount in state if amount > node.allocatable.get(r, 0) - node.requested.get(r, 0)]
        full = len(node.pods) + 1 > node.allowed_pods
        if not lacking and not full:
            return None
        reasons = [_TOO_MANY_PODS] if full else []
        reasons += [f"Insufficient {resource}" for resource in lacking]
        never = any(pod.requests[resource] > node.allocatable.get(resource, 0) for resource in lacking)
        return Rejection(tuple(reasons), unresolvable=never)

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        """A pod that leaves frees its place and amounts; a node must be large enough, and have grown."""
        if event.kind is EventKind.POD_DELETE:
            return True
        if event.node is None or not _large_enough(pod, event.node):
            return False
        old = event.old_node
        return old is None or any(
            event.node.allocatable.get(r, 0) > old.allocatable.get(r, 0) for r in _wants(pod)
        )


def _wants(pod: PodInfo) -> list[str]:
    return [PODS, *pod.requests]


def _large_enough(pod: PodInfo, node: NodeInfo) -> bool:
    return all(amount <= node.allocatable.get(name, 0) for name, amount in pod.requests.items())
