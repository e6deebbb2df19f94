"""A pod waits for a volume: one that cannot be mounted, or a claim that is not bound."""

from __future__ import annotations

from components.insight.situation import Fact, Finding, Situation, containers, event_text, event_time


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod"):
        return []
    return [*_claims(situation), *_mounts(situation)]


def _claims(situation: Situation) -> list[Finding]:
    if situation.status.get("phase") != "Pending":
        return []
    found = []
    for volume in situation.spec.get("volumes") or []:
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if not name or "PersistentVolumeClaim" not in situation.related:
            continue
        claim = situation.find("PersistentVolumeClaim", name)
        if claim is None:
            text = f"{situation.title} is Pending: there is no PersistentVolumeClaim {name}, which its volume needs."
            fact = Fact(
                f"Volume {volume['name']} names it.", "spec.volumes", None, f"Create the claim {name}."
            )
            found.append(Finding([fact], text, 74))
        elif (claim.get("status") or {}).get("phase") != "Bound":
            text = f"{situation.title} is Pending: PersistentVolumeClaim {name} is not bound to a volume."
            made, remedy = claim["metadata"].get("creationTimestamp"), f"kuberaft why pvc/{name}"
            fact = Fact("It waits for a volume.", "status.phase", made, f"{remedy} -n {situation.namespace}")
            found.append(Finding([fact], text, 73))
    return found


def _mounts(situation: Situation) -> list[Finding]:
    event = situation.last_event("FailedMount", "FailedAttachVolume")
    if event is None or any(one.running or one.ended for one in containers(situation.obj)):
        return []
    text = f"{situation.title} cannot start: a volume cannot be mounted."
    return [Finding([Fact(str(event.get("message")), event_text(event), event_time(event))], text, 77)]
