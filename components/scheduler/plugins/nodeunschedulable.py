"""NodeUnschedulable (P): cordoned nodes take no pods, except those that tolerate it."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo
from components.scheduler.tolerations import tolerates

_REJECTION = Rejection(("node(s) were unschedulable",), unresolvable=True)
_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable:
    name = "NodeUnschedulable"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        """State: whether the pod may go to cordoned nodes."""
        return any(tolerates(toleration, _TAINT) for toleration in pod.tolerations)

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        return _REJECTION if node.unschedulable and not state else None

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        return event.node is not None and not event.node.unschedulable
