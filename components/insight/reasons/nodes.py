"""How a node is."""

from __future__ import annotations

from components.insight.reasons.nodelost import ready
from components.insight.situation import Fact, Finding, Situation


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Node"):
        return []
    facts = [_pods(situation), *_pressures(situation), *_taints(situation)]
    condition = ready(situation.obj)
    since = condition.get("lastTransitionTime")
    message = str(condition.get("message") or condition.get("reason") or "")
    if condition.get("status") == "True":
        text = f"{situation.title} is Ready."
        if situation.spec.get("unschedulable"):
            text = f"{situation.title} is Ready, but cordoned: no new pods come to it."
        return [Finding([Fact(message or "Ready.", "condition Ready", since), *facts], text, 30)]
    if condition.get("status") == "Unknown":
        remedy = f"See whether its kubelet runs: kuberaft status; kuberaft start {situation.name}"
        told = Fact(message, "condition Ready", since, remedy)
        return [
            Finding([told, *facts], f"{situation.title} is lost: its kubelet does not report any more.", 85)
        ]
    told = Fact(message or "The kubelet has not said that the node is ready.", "condition Ready", since)
    return [Finding([told, *facts], f"{situation.title} is not ready.", 80)]


def _pods(situation: Situation) -> Fact:
    count = len(situation.of("Pod"))
    return Fact(f"{count} pod{' is' if count == 1 else 's are'} on it.", "pods with this spec.nodeName")


def _pressures(situation: Situation) -> list[Fact]:
    return [
        Fact(
            f"{c['type']}: {c.get('message') or c.get('reason')}",
            f"condition {c['type']}",
            c.get("lastTransitionTime"),
        )
        for c in situation.status.get("conditions") or []
        if c.get("type") != "Ready" and c.get("status") == "True"
    ]


def _taints(situation: Situation) -> list[Fact]:
    return [
        Fact(
            f"Taint {taint.get('key')}:{taint.get('effect')} keeps pods away.",
            "spec.taints",
            taint.get("timeAdded"),
        )
        for taint in situation.spec.get("taints") or []
    ]
