"""NodePorts (P): two pods of a node cannot have the same host port."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import SKIP, ClusterEvent, EventKind, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

_REJECTION = Rejection(("node(s) didn't have free ports for the requested pod ports",))


class NodePorts:
    name = "NodePorts"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        return None if pod.host_ports else SKIP

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        return _REJECTION if any(node.port_conflicts(port) for port in pod.host_ports) else None

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        if event.kind is EventKind.POD_DELETE and event.pod is not None:
            return bool({p.port for p in event.pod.host_ports} & {p.port for p in pod.host_ports})
        return event.kind is EventKind.NODE_ADD
