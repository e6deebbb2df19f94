"""NodeAffinity (P): nodeSelector, required and preferred node affinity."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import MAX_SCORE, SKIP, ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

_REJECTION = Rejection(("node(s) didn't match Pod's node affinity/selector",), unresolvable=True)


class NodeAffinity:
    name = "NodeAffinity"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        return SKIP if pod.node_affinity.demands_nothing else None

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        return None if pod.node_affinity.allows(node.name, node.labels) else _REJECTION

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        if event.node is None or self.filter(None, pod, event.node) is not None:
            return False
        return event.old_node is None or self.filter(None, pod, event.old_node) is not None

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        return None if pod.node_affinity.preferred else SKIP

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        terms = pod.node_affinity.preferred
        return sum(term.weight for term in terms if term.matches(node.name, node.labels))

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        most = max(scores)
        return [MAX_SCORE * score // most for score in scores] if most else scores
