"""The node of a pod does not report any more."""

from __future__ import annotations

from datetime import timedelta

from apiserver.api.meta import Object, format_time, parse_time
from components.insight.situation import Fact, Finding, Situation

_UNREACHABLE = "node.kubernetes.io/unreachable"
_NOT_READY = "node.kubernetes.io/not-ready"


def ready(node: Object) -> Object:
    """The Ready condition; empty if there is none."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == "Ready"), {})


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod") or not situation.spec.get("nodeName"):
        return []
    if situation.status.get("phase") in ("Succeeded", "Failed"):
        return []
    name = situation.spec["nodeName"]
    if "Node" not in situation.related:
        return []
    node = situation.find("Node", name)
    if node is None:
        text = f"{situation.title} is on node {name}, which there is no more."
        fact = Fact("The pod garbage collector deletes such pods.", "no object of that name")
        return [Finding([fact], text, 92)]
    condition = ready(node)
    if condition.get("status") == "True" or not condition:
        return []
    return [_lost(situation, name, condition)]


def _lost(situation: Situation, name: str, condition: Object) -> Finding:
    silent = condition.get("status") == "Unknown"
    since = condition.get("lastTransitionTime")
    state = "does not report any more" if silent else "is not ready"
    headline = f"{situation.title} is on node {name}, which {state}: nobody knows whether it still runs."
    if not silent:
        headline = f"{situation.title} is on node {name}, which is not ready."
    facts = [
        Fact(
            f"Node {name}: {condition.get('message') or condition.get('reason')}",
            "condition Ready of the node",
            since,
            f"Start the kubelet of {name} again, or delete the node: kubectl delete node {name}",
        )
    ]
    eviction = _eviction(situation, _UNREACHABLE if silent else _NOT_READY, since)
    return Finding([*facts, *([eviction] if eviction else [])], headline, 93)


def _eviction(situation: Situation, taint: str, since: str | None) -> Fact | None:
    """When the pod will be evicted, by its toleration of the node's taint."""
    for toleration in situation.spec.get("tolerations") or []:
        if toleration.get("key") in (taint, None, "") and toleration.get("effect") in ("NoExecute", None, ""):
            seconds = toleration.get("tolerationSeconds")
            if seconds is None:
                return Fact(f"It tolerates {taint} for ever, so it is not evicted.", "spec.tolerations")
            if since:
                due = format_time(parse_time(since) + timedelta(seconds=int(seconds)))
                text = f"It tolerates {taint} for {seconds} s; if the node stays away it is evicted at {due}."
                return Fact(text, "spec.tolerations")
    return Fact(
        f"It does not tolerate {taint}, so it is evicted as soon as the node has it.", "spec.tolerations"
    )
