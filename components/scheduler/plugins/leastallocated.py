"""NodeResourcesFit's score, LeastAllocated (P): nodes with more free CPU and memory are better."""

from __future__ import annotations

from typing import Any

from components.scheduler.framework import MAX_SCORE
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo


class LeastAllocated:
    name = "LeastAllocated"

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        return pod.nonzero_requests

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        """The mean of the free shares after placing the pod; containers without requests count too."""
        cpu, memory = node.cpu_and_memory
        total = parts = 0
        for allocatable, used in (
            (cpu, node.nonzero_cpu + state[0]),
            (memory, node.nonzero_memory + state[1]),
        ):
            if allocatable:
                parts += 1
                total += (allocatable - used) * MAX_SCORE // allocatable if used <= allocatable else 0
        return total // parts if parts else 0

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        return scores
