"""The pod's own rules, or those of other pods, leave no node: selector, affinity, spread, ports, cordoned nodes."""

from __future__ import annotations

from typing import Any, Final

from components.insight.reasons.messages import Verdict, verdict
from components.insight.situation import Fact, Finding, Situation

_NODE: Final = "node affinity/selector"
_RULES: Final = {
    # a part of the scheduler's reason: (what the pod has, what to do)
    "pod affinity rules": (
        "spec.affinity.podAffinity",
        "start the pod that it wants to be near, or change the rule",
    ),
    "pod anti-affinity rules": ("spec.affinity.podAntiAffinity", "add a node, or change the rule"),
    "existing pods anti-affinity": (
        "the podAntiAffinity of a pod that runs already",
        "add a node, or change that rule",
    ),
    "topology spread": ("spec.topologySpreadConstraints", "allow more skew, or add nodes"),
    "free ports": ("a hostPort that is taken", "use another hostPort, or none"),
    "requested node name": ("spec.nodeName", "name a node that there is"),
    "were unschedulable": ("nodes that are cordoned", "kubectl uncordon NODE"),
    "volume node affinity": (
        "a volume that only some nodes can reach",
        "use a volume that more nodes can reach",
    ),
}


def find(situation: Situation) -> list[Finding]:
    told = verdict(situation)
    if told is None:
        return []
    findings = [_of_node(situation, told)] if told.matching(_NODE) else []
    for part, (what, remedy) in _RULES.items():
        for reason, count in told.matching(part).items():
            text = f"{count} of {told.nodes} nodes are kept away by {what}: {reason}."
            fact = Fact(text, told.evidence, told.since, f"{remedy[0].upper()}{remedy[1:]}.")
            headline = f"{situation.title} is Pending: {what} leaves no node for it."
            findings.append(Finding([fact, _scheduler(told)], headline, 68))
    return findings


def _of_node(situation: Situation, told: Verdict) -> Finding:
    count = sum(told.matching(_NODE).values())
    wanted = _wanted(situation)
    which = "no node matches" if count >= told.nodes else f"{count} of {told.nodes} nodes do not match"
    fact = Fact(
        f"It may only run on nodes with {wanted}.",
        told.evidence,
        told.since,
        "Give a node these labels (kubectl label nodes NODE KEY=VALUE), or change the pod's rule.",
    )
    headline = f"{situation.title} is Pending: {which} its node affinity or selector ({wanted})."
    return Finding([fact, _scheduler(told)], headline, 71 if count >= told.nodes else 67)


def _scheduler(told: Verdict) -> Fact:
    return Fact(f"The scheduler says: {told.message}", told.evidence, told.since)


def _wanted(situation: Situation) -> str:
    selector = situation.spec.get("nodeSelector") or {}
    parts = [f"{key}={value}" for key, value in selector.items()]
    affinity = ((situation.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    terms = [_term(term) for term in affinity.get("nodeSelectorTerms") or []]
    if terms:
        parts.append(" or ".join(terms))
    return " and ".join(parts) or "what its rules ask for"


def _term(term: dict[str, Any]) -> str:
    parts = [
        f"{one.get('key')} {one.get('operator')} {','.join(one.get('values') or [])}".strip()
        for one in [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]
    ]
    return " and ".join(parts)
