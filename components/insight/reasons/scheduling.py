"""A pod that has no node, for a reason that is not a node's."""

from __future__ import annotations

from components.insight.reasons.messages import verdict
from components.insight.situation import Fact, Finding, Situation

_DEFAULT = "default-scheduler"


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod") or situation.spec.get("nodeName"):
        return []
    if situation.status.get("phase") in ("Succeeded", "Failed"):
        return []
    gates = [gate.get("name", "") for gate in situation.spec.get("schedulingGates") or []]
    if gates:
        text = f"{situation.title} is Pending: it waits for its scheduling gates to be removed: {', '.join(gates)}."
        return [Finding([Fact("Whoever put them there removes them.", "spec.schedulingGates")], text, 70)]
    told = verdict(situation)
    name = situation.spec.get("schedulerName") or _DEFAULT
    if told is None:
        return [_unseen(situation, name)]
    if not told.reasons:
        fact = Fact(f"The scheduler says: {told.message}", told.evidence, told.since)
        headline = f"{situation.title} is Pending: the scheduler has found no node for it."
        if "no nodes available" in told.message:
            headline = f"{situation.title} is Pending: the cluster has no node."
        return [Finding([fact], headline, 66)]
    return [Finding([Fact(f"The scheduler says: {told.message}", told.evidence, told.since)],
                    f"{situation.title} is Pending: the scheduler has found no node for it.", 60)]  # fmt: skip


def _unseen(situation: Situation, name: str) -> Finding:
    if name != _DEFAULT:
        text = f"{situation.title} is Pending: the scheduler {name} has said nothing of it."
        fact = Fact(f"It asks for the scheduler {name}.", "spec.schedulerName", None, f"Start {name}.")
        return Finding([fact], text, 65)
    text = f"{situation.title} is Pending: the scheduler has not looked at it yet."
    made = situation.obj["metadata"].get("creationTimestamp")
    remedy = "See that a scheduler leads: kubectl -n kube-system get lease kube-scheduler"
    return Finding(
        [Fact("There is no condition PodScheduled and no event.", "status", made, remedy)], text, 64
    )
