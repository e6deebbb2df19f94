"""Which pods nobody else will delete (P). Source: podgc/gc_controller.go."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from apiserver.api import meta
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_terminal
from components.controllers.common.objects import created_at, spec


@dataclass(frozen=True)
class GcPlan:
    """`orphaned` pods are bound to nodes that the cache does not know: to be checked against the server."""

    terminated: list[Object]
    orphaned: list[Object]
    unscheduled: list[Object]


def concerns(pod: Object, nodes: Set[str]) -> bool:
    """Whether `plan` may want to delete it: of most pods it does not."""
    node = spec(pod).get("nodeName")
    return is_pod_terminal(pod) or (node not in nodes if node else meta.is_deleting(pod))


def plan(pods: list[Object], nodes: Set[str], threshold: int) -> GcPlan:
    """`pods`: all, or those that it `concerns`; `threshold`: how many finished ones may stay, 0 or less keeps all."""
    finished = sorted(
        (pod for pod in pods if is_pod_terminal(pod) and not meta.is_deleting(pod)),
        key=lambda pod: (created_at(pod), meta.name(pod)),
    )
    surplus = max(len(finished) - threshold, 0) if threshold > 0 else 0
    bound = [pod for pod in pods if spec(pod).get("nodeName")]
    return GcPlan(
        terminated=finished[:surplus],
        orphaned=[pod for pod in bound if spec(pod)["nodeName"] not in nodes],
        unscheduled=[p for p in pods if meta.is_deleting(p) and not spec(p).get("nodeName")],
    )
