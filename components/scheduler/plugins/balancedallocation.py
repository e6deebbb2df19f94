"""NodeResourcesBalancedAllocation (P): CPU and memory of a node should fill up evenly."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import MAX_SCORE, SKIP
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import CPU, MEMORY, PodInfo


class BalancedAllocation:
    name = "NodeResourcesBalancedAllocation"

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        """State: (CPU, memory) wanted. A pod that requests nothing changes no balance."""
        wanted = pod.requests.get(CPU, 0), pod.requests.get(MEMORY, 0)
        return wanted if any(wanted) else SKIP

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        """100 less the standard deviation of the used fractions."""
        cpu, memory = node.cpu_and_memory
        if not cpu or not memory:
            return MAX_SCORE
        cpu_share = min((node.requested.get(CPU, 0) + state[0]) / cpu, 1.0)
        memory_share = min((node.requested.get(MEMORY, 0) + state[1]) / memory, 1.0)
        return int((1 - abs(cpu_share - memory_share) / 2) * MAX_SCORE)

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        return scores
