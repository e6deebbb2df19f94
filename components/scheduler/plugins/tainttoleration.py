"""TaintToleration (P): taints keep pods away (NoSchedule, NoExecute) or make a node less liked."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import MAX_SCORE, SKIP, ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo
from components.scheduler.tolerations import tolerates, untolerated

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
_DISLIKED = "PreferNoSchedule"


class TaintToleration:
    name = "TaintToleration"

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        return None

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        if not node.taints:
            return None
        taint = untolerated(node.taints, pod.tolerations, _KEEPS_AWAY)
        if taint is None:
            return None
        reason = f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"
        return Rejection((reason,), unresolvable=True)

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        if event.node is None or self.filter(None, pod, event.node) is not None:
            return False
        return event.old_node is None or self.filter(None, pod, event.old_node) is not None

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        """State: the tolerations that can cover PreferNoSchedule."""
        if not any(node.taints for node in possible):
            return SKIP
        return [t for t in pod.tolerations if (t.get("effect") or _DISLIKED) == _DISLIKED]

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        disliked = [taint for taint in node.taints if taint.get("effect") == _DISLIKED]
        return sum(1 for taint in disliked if not any(tolerates(t, taint) for t in state))

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        most = max(scores)
        return [MAX_SCORE - (MAX_SCORE * score // most if most else 0) for score in scores]
