"""One scheduling decision (P): from a pod and the nodes to the best node, or the reasons for none.

As the original's schedule_one.go: filters in order, the first rejection of a node counts; at more than
100 nodes only so many possible ones are sought as the original does, starting where the last cycle
ended; the highest weighted sum of scores wins, ties are broken at random.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from components.scheduler.framework import SKIP, FilterPlugin, Rejection, ScorePlugin
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

_MIN_POSSIBLE = 100


class Weighted(NamedTuple):
    plugin: ScorePlugin
    weight: int


@dataclass
class Rejected:
    """No node is possible: per node the rejection and the plugin it is from, and which plugins rejected any."""

    total: int
    nodes: dict[str, Rejection] = field(default_factory=dict)
    plugins: set[str] = field(default_factory=set)
    by: dict[str, str] = field(default_factory=dict)


@dataclass
class Trace:
    """How a decision was made: what was rejected, and each scoring plugin's points for the `possible` nodes."""

    rejected: Rejected
    possible: list[NodeInfo] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    points: list[tuple[str, int, list[float]]] = field(default_factory=list)


class Algorithm:
    """`rng` breaks ties."""

    def __init__(
        self, filters: Sequence[FilterPlugin], scores: Sequence[Weighted], rng: random.Random
    ) -> None:
        self._filters = filters
        self._scores = scores
        self._rng = rng
        self._start = 0
        self.trace = Trace(Rejected(0))
        """Of the last decision."""

    def schedule(self, pod: PodInfo, nodes: list[NodeInfo]) -> NodeInfo | Rejected:
        """The node for `pod`, or why there is none. Changes nothing but where the next search starts."""
        rejected = Rejected(len(nodes))
        possible = self._possible(pod, nodes, rejected)
        self.trace = Trace(rejected, possible)
        if not possible:
            return rejected
        return possible[0] if len(possible) == 1 else self._best(pod, possible, nodes)

    def _possible(self, pod: PodInfo, nodes: list[NodeInfo], rejected: Rejected) -> list[NodeInfo]:
        states = [(plugin, plugin.pre_filter(pod, nodes)) for plugin in self._filters]
        active = [(plugin, state) for plugin, state in states if state is not SKIP]
        enough = nodes_to_find(len(nodes))
        possible: list[NodeInfo] = []
        checked = 0
        for node in _rotated(nodes, self._start):
            checked += 1
            rejection = _first_rejection(active, pod, node, rejected)
            if rejection is None:
                possible.append(node)
                if len(possible) >= enough:
                    break
        self._start = (self._start + checked) % len(nodes) if nodes else 0
        return possible

    def _best(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> NodeInfo:
        totals = [0.0] * len(possible)
        for plugin, weight in self._scores:
            state = plugin.pre_score(pod, possible, nodes)
            if state is SKIP:
                continue
            scores = plugin.normalize(state, [plugin.score(state, pod, node) for node in possible], possible)
            totals = [total + weight * int(score) for total, score in zip(totals, scores, strict=True)]
            self.trace.points.append((plugin.name, weight, scores))
        self.trace.totals = totals
        best = max(totals)
        return self._rng.choice([node for node, total in zip(possible, totals, strict=True) if total == best])


def nodes_to_find(count: int) -> int:
    """How many possible nodes are enough: all up to 100, then 50 % falling to 5 % at 5,600 nodes."""
    if count < _MIN_POSSIBLE:
        return count
    percent = max(50 - count // 125, 5)
    return max(count * percent // 100, _MIN_POSSIBLE)


def _rotated(nodes: list[NodeInfo], start: int) -> list[NodeInfo]:
    start = start % len(nodes) if nodes else 0
    return nodes[start:] + nodes[:start] if start else nodes


def _first_rejection(
    active: list[tuple[FilterPlugin, Any]], pod: PodInfo, node: NodeInfo, rejected: Rejected
) -> Rejection | None:
    for plugin, state in active:
        rejection = plugin.filter(state, pod, node)
        if rejection is not None:
            rejected.nodes[node.name] = rejection
            rejected.by[node.name] = plugin.name
            rejected.plugins.add(plugin.name)
            return rejection
    return None
