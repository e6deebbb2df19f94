"""Nodes have a taint that the pod does not tolerate."""

from __future__ import annotations

import re
from typing import Final

from apiserver.api import meta
from components.insight.reasons.messages import verdict
from components.insight.situation import Fact, Finding, Situation

_TAINT: Final = re.compile(r"untolerated taint(?:\(s\))?(?: \{(?P<key>[^:}]+): ?(?P<value>[^}]*)\})?")
_OWN: Final = {
    "node.kubernetes.io/not-ready": "the node is not ready",
    "node.kubernetes.io/unreachable": "the node does not report any more",
    "node.kubernetes.io/unschedulable": "the node was cordoned: kubectl uncordon NODE",
    "node.kubernetes.io/memory-pressure": "the node runs out of memory",
    "node.kubernetes.io/disk-pressure": "the disk of the node is nearly full",
    "node.kubernetes.io/pid-pressure": "the node runs out of processes",
}


def find(situation: Situation) -> list[Finding]:
    told = verdict(situation)
    if told is None:
        return []
    found = told.matching("untolerated taint")
    if not found:
        return []
    facts = [_fact(situation, reason, count, told.evidence, told.since) for reason, count in found.items()]
    if len(facts) < len(told.reasons) or told.message:
        facts.append(Fact(f"The scheduler says: {told.message}", told.evidence, told.since))
    names = _names(found)
    headline = f"{situation.title} is Pending: it does not tolerate the taint {names} of {_count(found, told.nodes)}."
    return [Finding(facts, headline, 69 if len(told.reasons) > len(found) else 72)]


def _names(found: dict[str, int]) -> str:
    keys = [match["key"] for match in map(_TAINT.search, found) if match is not None and match["key"]]
    return ", ".join(dict.fromkeys(keys)) or "of its nodes"


def _count(found: dict[str, int], nodes: int) -> str:
    count = sum(found.values())
    if count >= nodes:
        return "all nodes" if nodes > 1 else "the only node"
    return f"{count} of {nodes} nodes"


def _fact(situation: Situation, reason: str, count: int, evidence: str, since: str) -> Fact:
    match = _TAINT.search(reason)
    key = (match["key"] or "") if match else ""
    value = (match["value"] or "").strip() if match else ""
    nodes = [
        meta.name(node)
        for node in situation.of("Node")
        if any(taint.get("key") == key for taint in (node.get("spec") or {}).get("taints") or [])
    ]
    where = ", ".join(nodes[:5]) or f"{count} nodes"
    if key in _OWN:
        return Fact(f"Taint {key} on {where}: {_OWN[key]}.", evidence, since)
    taint = f"{key}={value}" if value else key
    remedy = (
        f"Add a toleration of {taint} to the pod, or take the taint away: kubectl taint nodes NODE {key}-"
    )
    return Fact(f"Taint {taint} is on {where}.", evidence, since, remedy)
