"""A claim that has no volume."""

from __future__ import annotations

from components.insight.situation import Fact, Finding, Situation, event_text, event_time


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("PersistentVolumeClaim"):
        return []
    phase = situation.status.get("phase") or "Pending"
    if phase == "Bound":
        text = f"{situation.title} is well: it is bound to volume {situation.spec.get('volumeName')}."
        return [Finding([], text, 25)]
    facts = []
    event = situation.last_event(
        "ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer", "ExternalProvisioning"
    )
    if event is not None:
        facts.append(Fact(str(event.get("message")), event_text(event), event_time(event)))
    name = situation.spec.get("storageClassName")
    if not name:
        facts.append(
            Fact("It names no storage class, so only a volume without one can be bound to it.", "spec")
        )
    elif situation.find("StorageClass", name) is None:
        remedy = f"Create the storage class {name}, or name another."
        facts.append(Fact(f"There is no StorageClass {name}.", "spec.storageClassName", None, remedy))
    else:
        facts.append(Fact(f"Storage class {name} is to provide it.", "spec.storageClassName"))
    if phase == "Lost":
        return [Finding(facts, f"{situation.title} is Lost: its volume is gone.", 80)]
    free = sum(
        (volume.get("status") or {}).get("phase") == "Available"
        for volume in situation.of("PersistentVolume")
    )
    facts.append(Fact(f"{free} volumes of the cluster are available.", "PersistentVolumes"))
    return [Finding(facts, f"{situation.title} is Pending: no volume is bound to it.", 60)]
