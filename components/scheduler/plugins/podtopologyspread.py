"""PodTopologySpread (P): pods of one workload are spread over nodes, zones or any other label.

Explicit constraints filter (DoNotSchedule) or score (ScheduleAnyway). A pod without any, but matched by a
Service or owned by a replicating controller, is spread over hosts and zones by score, as the
original's system defaults do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apiserver.api.labels import Selector, selector_from_label_selector
from apiserver.api.meta import Object
from components.scheduler.framework import MAX_SCORE, SKIP, ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo
from components.scheduler.tolerations import untolerated

_SKEWED = Rejection(("node(s) didn't match pod topology spread constraints",))
_NO_LABEL = Rejection(
    ("node(s) didn't match pod topology spread constraints (missing required label)",), unresolvable=True
)
_DEFAULTS = (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))  # key, maxSkew

Workload = Callable[[PodInfo], Callable[[dict[str, str]], bool] | None]
Matches = Callable[[dict[str, str]], bool]


@dataclass(frozen=True)
class Constraint:
    key: str
    max_skew: int
    min_domains: int
    matches: Matches
    honor_affinity: bool = True
    honor_taints: bool = False

    def counts_node(self, pod: PodInfo, node: NodeInfo) -> bool:
        """Whether the node's pods take part in this constraint at all."""
        if self.honor_affinity and not pod.node_affinity.allows(node.name, node.labels):
            return False
        return not self.honor_taints or not untolerated(
            node.taints, pod.tolerations, ("NoSchedule", "NoExecute")
        )


@dataclass
class _FilterState:
    constraints: list[Constraint]
    counts: list[Counter[str]]
    least: list[int]


@dataclass
class _ScoreState:
    constraints: list[Constraint]
    counts: list[Counter[str]]
    weights: list[float]
    explicit: bool


class PodTopologySpread:
    """`workload` gives the label test of the pods that belong together with a pod, or None."""

    name = "PodTopologySpread"

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        constraints = _constraints(pod, "DoNotSchedule")
        if not constraints:
            return SKIP
        counts: list[Counter[str]] = [Counter() for _ in constraints]
        tally = _Tally(pod)
        for node in nodes:
            if any(c.key not in node.labels for c in constraints):
                continue
            for constraint, counter in zip(constraints, counts, strict=True):
                if constraint.counts_node(pod, node):
                    counter[node.labels[constraint.key]] += tally.of(constraint, node)
        return _FilterState(constraints, counts, [_least(*c) for c in zip(constraints, counts, strict=True)])

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        for constraint, counts, least in zip(state.constraints, state.counts, state.least, strict=True):
            value = node.labels.get(constraint.key)
            if value is None:
                return _NO_LABEL
            own = 1 if constraint.matches(pod.labels) else 0
            if counts.get(value, 0) + own - least > constraint.max_skew:
                return _SKEWED
        return None

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        constraints = _constraints(pod, "DoNotSchedule")
        if event.node is not None:
            return all(constraint.key in event.node.labels for constraint in constraints)
        versions = [p for p in (event.pod, event.old_pod) if p is not None and p.namespace == pod.namespace]
        return any(constraint.matches(p.labels) for p in versions for constraint in constraints)

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        explicit = bool(pod.spec.get("topologySpreadConstraints"))
        constraints = _constraints(pod, "ScheduleAnyway") if explicit else self._defaults(pod, possible)
        if not constraints:
            return SKIP
        counts: list[Counter[str]] = [Counter() for _ in constraints]
        tally = _Tally(pod)
        for node in nodes:
            for constraint, counter in zip(constraints, counts, strict=True):
                value = node.labels.get(constraint.key)
                if value is not None and constraint.counts_node(pod, node):
                    counter[value] += tally.of(constraint, node)
        domains = [len({n.labels.get(c.key) for n in possible} - {None}) for c in constraints]
        return _ScoreState(constraints, counts, [math.log(n + 2) for n in domains], explicit)

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        """The weighted number of matching pods around the node: fewer is better; -1 without the labels."""
        total = 0.0
        for constraint, counts, weight in zip(state.constraints, state.counts, state.weights, strict=True):
            value = node.labels.get(constraint.key)
            if value is not None:
                total += counts.get(value, 0) * weight + constraint.max_skew - 1
            elif state.explicit:
                return -1
        return round(total)

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        counted = [score for score in scores if score >= 0]
        if not counted:
            return [0.0] * len(scores)
        least, most = min(counted), max(counted)
        if not most:
            return [MAX_SCORE if score >= 0 else 0 for score in scores]
        return [MAX_SCORE * (most + least - s) // most if s >= 0 else 0 for s in scores]

    def _defaults(self, pod: PodInfo, possible: list[NodeInfo]) -> list[Constraint]:
        matches = self._workload(pod)
        if matches is None:
            return []
        used = [(key, skew) for key, skew in _DEFAULTS if any(key in node.labels for node in possible)]
        return [Constraint(key, skew, 1, matches) for key, skew in used]


class _Tally:
    """Matching pods per node; each set of labels is tested once, however many pods and nodes have it."""

    def __init__(self, pod: PodInfo) -> None:
        self._namespace = pod.namespace
        self._known: dict[tuple[Matches, frozenset[tuple[str, str]]], bool] = {}

    def of(self, constraint: Constraint, node: NodeInfo) -> int:
        total = 0
        for (namespace, labels), count in node.label_classes.items():
            if namespace != self._namespace:
                continue
            key = (constraint.matches, labels)
            matched = self._known.get(key)
            if matched is None:
                matched = self._known[key] = constraint.matches(dict(labels))
            total += count * matched
        return total


def _least(constraint: Constraint, counts: Counter[str]) -> int:
    if len(counts) < constraint.min_domains or not counts:
        return 0
    return min(counts.values())


def _constraints(pod: PodInfo, when: str) -> list[Constraint]:
    listed = pod.spec.get("topologySpreadConstraints") or ()
    return [_constraint(c, pod) for c in listed if c["whenUnsatisfiable"] == when]


def _constraint(constraint: Object, pod: PodInfo) -> Constraint:
    selector = selector_from_label_selector(constraint.get("labelSelector"))
    same = {key: pod.labels[key] for key in constraint.get("matchLabelKeys") or () if key in pod.labels}
    return Constraint(
        key=constraint["topologyKey"],
        max_skew=constraint["maxSkew"],
        min_domains=constraint.get("minDomains") or 1,
        matches=_test(selector, same),
        honor_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        honor_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


def _test(selector: Selector, same: dict[str, str]) -> Matches:
    if not same:
        return selector.matches
    return lambda labels: selector.matches(labels) and same.items() <= labels.items()
