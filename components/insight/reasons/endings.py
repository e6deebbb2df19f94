"""A pod that has ended, or a container that was restarted some time ago and runs again."""

from __future__ import annotations

from components.insight.situation import (
    Container,
    Fact,
    Finding,
    Situation,
    containers,
    event_text,
    event_time,
    times,
)


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod"):
        return []
    phase = situation.status.get("phase")
    if phase in ("Succeeded", "Failed"):
        return [_ended(situation, str(phase))]
    return [_restarted(situation, one) for one in containers(situation.obj) if one.restarts and one.running]


def _ended(situation: Situation, phase: str) -> Finding:
    facts = []
    reason, message = situation.status.get("reason"), situation.status.get("message")
    if reason or message:
        facts.append(Fact(f"{reason or phase}: {message or ''}".rstrip(": "), "status.reason"))
    for one in containers(situation.obj):
        code = one.ended.get("exitCode")
        if code is not None and not one.running:
            text = f"Container {one.name} ended with exit code {code} ({one.ended.get('reason') or 'no reason given'})."
            facts.append(Fact(text, "status of the container", one.ended.get("finishedAt")))
    how = (
        "has done its work and ended"
        if phase == "Succeeded"
        else f"has failed{f': {reason}' if reason else ''}"
    )
    return Finding(facts, f"{situation.title} {how}.", 75 if phase == "Failed" else 40)


def _restarted(situation: Situation, container: Container) -> Finding:
    ended = container.ended
    text = f"Container {container.name} was restarted {times(container.restarts)}"
    if ended:
        text += f"; it ended last with exit code {ended.get('exitCode')} ({ended.get('reason') or 'Error'})"
    facts = [Fact(text + ".", "status of the container", ended.get("finishedAt"))]
    killed = situation.last_event("Killing")
    if killed is not None:
        facts.append(
            Fact(f"The kubelet ended it: {killed.get('message')}", event_text(killed), event_time(killed))
        )
    return Finding(facts, "", 28)
