"""What the conditions of an object say, of kinds that nobody here knows more of: jobs, custom resources."""

from __future__ import annotations

from apiserver.api.meta import Object
from components.insight.situation import Fact, Finding, Situation

_KNOWN = (
    *("Pod", "Node", "Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"),
    *("Service", "PersistentVolumeClaim", "Namespace"),
)
_GOOD = ("Ready", "Available", "Complete", "Established", "Succeeded")
_BAD = ("Failed", "Stalled", "Degraded")


def find(situation: Situation) -> list[Finding]:
    if situation.object is None or situation.is_a(*_KNOWN):
        return []
    found = [
        one for one in situation.status.get("conditions") or [] if isinstance(one, dict) and one.get("type")
    ]
    if not found:
        return []
    facts = [_fact(one) for one in found]
    for one in found:
        kind, status = one["type"], one.get("status")
        if (kind in _BAD and status == "True") or (kind in _GOOD and status == "False"):
            why = one.get("message") or one.get("reason") or "no reason is given"
            state = kind if status == "True" else f"not {kind}"
            return [Finding(facts, f"{situation.title} is {state}: {why}", 63)]
    return [Finding(facts, "", 21)]


def _fact(condition: Object) -> Fact:
    why = condition.get("message") or condition.get("reason") or ""
    text = f"{condition['type']} is {condition.get('status')}{f': {why}' if why else ''}"
    return Fact(text, f"condition {condition['type']}", condition.get("lastTransitionTime"))
