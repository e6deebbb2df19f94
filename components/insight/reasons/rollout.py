"""How far a workload is: replicas that are there, updated and ready."""

from __future__ import annotations

from components.insight.situation import Fact, Finding, Situation


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"):
        return []
    spec, status = situation.spec, situation.status
    wanted = int(1 if spec.get("replicas") is None else spec["replicas"])
    there, ready = int(status.get("replicas") or 0), int(status.get("readyReplicas") or 0)
    counts = Fact(f"Replicas: {wanted} wanted, {there} there, {ready} ready.", "status")
    if spec.get("paused"):
        return [Finding([counts], f"{situation.title} is paused: no change is rolled out.", 55)]
    seen = int(status.get("observedGeneration") or 0)
    if seen < int(situation.obj["metadata"].get("generation") or 0):
        text = f"{situation.title} was changed, and its controller has not looked at it yet."
        return [Finding([counts, Fact("observedGeneration is behind generation.", "status")], text, 58)]
    stuck = situation.condition("Progressing")
    if stuck.get("status") == "False":
        fact = Fact(
            str(stuck.get("message") or stuck.get("reason")),
            "condition Progressing",
            stuck.get("lastTransitionTime"),
        )
        return [
            Finding(
                [counts, fact],
                f"{situation.title} makes no progress: {ready} of {wanted} replicas are ready.",
                56,
            )
        ]
    if ready < wanted:
        return [Finding([counts], f"{situation.title} has {ready} of {wanted} replicas ready.", 45)]
    updated = status.get("updatedReplicas")
    if updated is not None and int(updated) < wanted:
        return [
            Finding([counts], f"{situation.title} rolls out: {updated} of {wanted} replicas are updated.", 35)
        ]
    return [Finding([counts], f"{situation.title} is well: {ready} of {wanted} replicas are ready.", 25)]
