"""A pod that has its node and is on its way: its kubelet has not begun, or an init container runs."""

from __future__ import annotations

from components.insight.situation import Fact, Finding, Situation, containers

_ON_THE_WAY = frozenset({"ContainerCreating", "PodInitializing"})


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod") or situation.status.get("phase") != "Pending":
        return []
    node = situation.spec.get("nodeName")
    if not node or situation.obj["metadata"].get("deletionTimestamp"):
        return []
    found = list(containers(situation.obj))
    if not any(one.status for one in found):
        since = situation.condition("PodScheduled").get("lastTransitionTime")
        fact = Fact("The kubelet has reported nothing of its containers.", "status", since)
        return [
            Finding(
                [fact], f"{situation.title} is placed on {node}, whose kubelet has not begun with it.", 42
            )
        ]
    initial = next((one for one in found if one.initial and one.running), None)
    if initial is not None:
        since = initial.running.get("startedAt")
        fact = Fact(f"Init container {initial.name} runs.", "status of the container", since)
        return [Finding([fact], f"{situation.title} waits for its init container {initial.name} to end.", 44)]
    waiting = [one.name for one in found if one.waiting.get("reason") in _ON_THE_WAY]
    if waiting:
        fact = Fact(f"Containers that are being made: {', '.join(waiting)}.", "status of the containers")
        return [Finding([fact], f"{situation.title} is starting on {node}.", 41)]
    return []
