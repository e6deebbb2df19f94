"""NodeName (P): a pod that names its node goes there only."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import SKIP, ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

_REJECTION = Rejection(("node(s) didn't match the requested node name",), unresolvable=True)


class NodeName:
    name = "NodeName"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        return None if pod.node_name else SKIP

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        return None if pod.node_name == node.name else _REJECTION

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        return event.node is not None and event.node.name == pod.node_name
