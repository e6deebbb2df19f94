"""It is being deleted, and something holds it: a finalizer, its containers, or what is in it."""

from __future__ import annotations

from apiserver.api import meta
from components.insight.situation import Fact, Finding, Situation

_OWN = {
    "foregroundDeletion": "the garbage collector takes it away once everything that it owns is gone",
    "orphan": "the garbage collector takes it away once it has let go of everything that it owns",
    "kubernetes.io/pvc-protection": "it goes when no pod uses the claim any more",
    "kubernetes.io/pv-protection": "it goes when no claim is bound to the volume any more",
}


def find(situation: Situation) -> list[Finding]:
    if situation.object is None or not meta.is_deleting(situation.object):
        return []
    since = str(situation.obj["metadata"]["deletionTimestamp"])
    held = _finalizers(situation)
    if held:
        return [_held(situation, held, since)]
    if situation.is_a("Pod"):
        return [_ending(situation, since)]
    headline = f"{situation.title} is being deleted."
    return [Finding([Fact("It was told to go.", "metadata.deletionTimestamp", since)], headline, 90)]


def _finalizers(situation: Situation) -> list[str]:
    held = list(meta.finalizers(situation.obj))
    if situation.is_a("Namespace"):
        held += list(situation.spec.get("finalizers") or [])
    return held


def _held(situation: Situation, held: list[str], since: str) -> Finding:
    names = ", ".join(held)
    plural = "finalizers hold" if len(held) > 1 else "finalizer holds"
    facts = [
        Fact(_text(name, situation), "metadata.finalizers", since, _remedy(situation, name)) for name in held
    ]
    facts += [
        Fact(str(c["message"]), f"condition {c['type']}", c.get("lastTransitionTime"))
        for c in situation.status.get("conditions") or []
        if situation.is_a("Namespace") and c.get("status") == "True" and c.get("message")
    ]
    return Finding(facts, f"{situation.title} is being deleted, but the {plural} it: {names}.", 95)


def _text(name: str, situation: Situation) -> str:
    if name in _OWN:
        return f"Finalizer {name}: {_OWN[name]}."
    if situation.is_a("Namespace") and name == "kubernetes":
        return "The namespace goes when everything in it is gone."
    return f"Whoever put the finalizer {name} there must take it away; nobody has done so yet."


def _remedy(situation: Situation, name: str) -> str | None:
    if name in _OWN or (situation.is_a("Namespace") and name == "kubernetes"):
        return None
    where = f" -n {situation.namespace}" if situation.namespace else ""
    patch = '\'{"metadata":{"finalizers":null}}\''
    return (
        f"Let the controller that owns {name} run; only if it is gone for good: "
        f"kubectl patch {situation.kind.resource} {situation.name}{where} --type merge -p {patch}"
    )


def _ending(situation: Situation, since: str) -> Finding:
    seconds = situation.obj["metadata"].get("deletionGracePeriodSeconds")
    fact = Fact(
        f"Its containers have {seconds} s to end by themselves.", "metadata.deletionGracePeriodSeconds", since
    )
    return Finding([fact], f"{situation.title} is being deleted: its containers are ending.", 85)
