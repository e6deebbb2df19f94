"""The scheduling framework (P): the phases of a cycle and what a plugin is.

PreFilter and Filter decide which nodes are possible; PreScore, Score and Normalize which of those is
best. `algorithm` runs them. A plugin is stateless between cycles: what a pre-phase computes for one
pod is handed to the next phase as `state`, and `SKIP` leaves the plugin out of the cycle.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NamedTuple, Protocol

from apiserver.api.meta import Object
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

MAX_SCORE = 100


class _Skip:
    """The type of SKIP."""


SKIP: Final = _Skip()


class Rejection(NamedTuple):
    """Why a node is not possible. `unresolvable`: no removal of other pods would change it."""

    reasons: tuple[str, ...]
    unresolvable: bool = False


class EventKind(Enum):
    NODE_ADD = "node add"
    NODE_UPDATE = "node update"
    POD_ADD = "assigned pod add"
    POD_UPDATE = "assigned pod update"
    POD_DELETE = "assigned pod delete"


class ClusterEvent(NamedTuple):
    """A change that may make a waiting pod schedulable: of `node` (from `old_node`) or of `pod`."""

    kind: EventKind
    node: NodeInfo | None = None
    old_node: NodeInfo | None = None
    pod: PodInfo | None = None
    old_pod: PodInfo | None = None


class FilterPlugin(Protocol):
    @property
    def name(self) -> str: ...

    def pre_filter(self, pod: PodInfo, nodes: list[NodeInfo]) -> Any:
        """State for `filter`, or SKIP when no node can be rejected."""
        ...

    def filter(self, state: Any, pod: PodInfo, node: NodeInfo) -> Rejection | None: ...

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        """Whether `event` may turn a rejection of `pod` by this plugin into acceptance."""
        ...


class ScorePlugin(Protocol):
    @property
    def name(self) -> str: ...

    def pre_score(self, pod: PodInfo, possible: list[NodeInfo], nodes: list[NodeInfo]) -> Any:
        """State for `score`, or SKIP when all nodes are equal. `nodes` are all nodes."""
        ...

    def score(self, state: Any, pod: PodInfo, node: NodeInfo) -> float: ...

    def normalize(self, state: Any, scores: list[float], possible: list[NodeInfo]) -> list[float]:
        """Scores brought to 0 .. MAX_SCORE, higher is better."""
        ...


def node_info_of(node: Object) -> NodeInfo:
    """A node without pods, for hints."""
    info = NodeInfo(node["metadata"]["name"])
    info.set_node(node)
    return info
