"""InterPodAffinity (P): pods that want to be near, or not near, other pods.

A topology is a (label key, value) pair; counts say how many pods that a term matches run in one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.scheduler.framework import MAX_SCORE, SKIP, ClusterEvent, Rejection
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import AffinityTerm, PodInfo

_AFFINITY = Rejection(("node(s) didn't match pod affinity rules",), unresolvable=True)
_ANTI_AFFINITY = Rejection(("node(s) didn't match pod anti-affinity rules",))
_EXISTING = Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",))
_HARD_WEIGHT = 1  # what a required affinity of a running pod counts when nodes are compared

Topology = tuple[str, str]
NamespaceLabels = Callable[[str], Mapping[str, str]]


@dataclass
class _State:
    near: Counter[Topology] = field(default_factory=Counter)
    away: Counter[Topology] = field(default_factory=Counter)
    existing: Counter[Topology] = field(default_factory=Counter)
    own_match: bool = False


class InterPodAffinity:
    """`namespace_labels` gives the labels of a namespace, for namespaceSelectors."""

    name = "InterPodAffinity"

    def __init__(self, namespace_labels: NamespaceLabels) -> None:
        self._namespace_labels = namespace_labels

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        state = _State()
        own = self._namespace_labels(pod.namespace) if any(n.anti_affinity_pods for n in nodes) else {}
        for node in nodes:
            for other in node.anti_affinity_pods.values():
                _count(state.existing, (t for t in other.anti_affinity if t.matches(pod, own)), node)
        if not pod.affinity and not pod.anti_affinity:
            return state if state.existing else SKIP
        for node in nodes:
            for other in node.pods.values():
                labels = self._namespace_labels(other.namespace)
                if pod.affinity and all(term.matches(other, labels) for term in pod.affinity):
                    _count(state.near, pod.affinity, node)
                _count(state.away, (t for t in pod.anti_affinity if t.matches(other, labels)), node)
        labels = self._namespace_labels(pod.namespace)
        state.own_match = all(term.matches(pod, labels) for term in pod.affinity)
        return state

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        if not self._near_enough(state, pod, node):
            return _AFFINITY
        if any(state.away.get((t.topology_key, node.labels.get(t.topology_key))) for t in pod.anti_affinity):
            return _ANTI_AFFINITY
        if any(node.labels.get(key) == value for key, value in state.existing):
            return _EXISTING
        return None

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        """A node with the wanted labels, or a pod that one of the rules, ours or its, looks at."""
        if event.node is not None:
            return all(t.topology_key in event.node.labels for t in pod.affinity)
        for other in (event.pod, event.old_pod):
            if other is None:
                continue
            labels = self._namespace_labels(other.namespace)
            if any(t.matches(other, labels) for t in (*pod.affinity, *pod.anti_affinity)):
                return True
            if any(t.matches(pod, self._namespace_labels(pod.namespace)) for t in other.anti_affinity):
                return True
        return False

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        """State: the summed weights per topology."""
        wishes = bool(pod.preferred_affinity or pod.preferred_anti_affinity)
        if not wishes and not any(node.affinity_pods for node in nodes):
            return SKIP
        sums: Counter[Topology] = Counter()
        own_labels = self._namespace_labels(pod.namespace)
        for node in nodes:
            for other in (node.pods if wishes else node.affinity_pods).values():
                labels = self._namespace_labels(other.namespace)
                _weigh(sums, pod.preferred_affinity, other, labels, node, 1)
                _weigh(sums, pod.preferred_anti_affinity, other, labels, node, -1)
                _weigh(sums, other.preferred_affinity, pod, own_labels, node, 1)
                _weigh(sums, other.preferred_anti_affinity, pod, own_labels, node, -1)
                _weigh(sums, other.affinity, pod, own_labels, node, 1)
        return sums or SKIP

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float:
        return float(sum(weight for (key, value), weight in state.items() if node.labels.get(key) == value))

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        least, spread = min(scores), max(scores) - min(scores)
        return [MAX_SCORE * (s - least) / spread if spread else 0.0 for s in scores]

    def _near_enough(self, state: _State, pod: PodInfo, node: NodeInfo) -> bool:
        """The first pod of a group that wants to be near its own kind may go anywhere with the label."""
        topologies = [(t.topology_key, node.labels.get(t.topology_key)) for t in pod.affinity]
        if any(value is None for _, value in topologies):
            return False
        if all(state.near.get((key, value or "")) for key, value in topologies):
            return True
        return not state.near and state.own_match


def _count(counts: Counter[Topology], terms: Iterable[AffinityTerm], node: NodeInfo) -> None:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None:
            counts[term.topology_key, value] += 1


def _weigh(
    sums: Counter[Topology],
    terms: tuple[AffinityTerm, ...],
    pod: PodInfo,
    namespace_labels: Mapping[str, str],
    node: NodeInfo,
    sign: int,
) -> None:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None and term.matches(pod, namespace_labels):
            sums[term.topology_key, value] += sign * (term.weight or _HARD_WEIGHT)
