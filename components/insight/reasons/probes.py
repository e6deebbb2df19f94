"""A probe fails: the container is not ready, has not started, or is restarted."""

from __future__ import annotations

from apiserver.api.meta import Object
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

_EFFECTS = {
    "readiness": "it is not ready, and services send it nothing",
    "liveness": "its kubelet restarts it",
    "startup": "its kubelet restarts it",
}


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod"):
        return []
    found = []
    for container in containers(situation.obj):
        event = _unhealthy(situation, container)
        if event is None or container.waiting.get("reason") == "CrashLoopBackOff":
            continue
        kind = str(event.get("message") or "").split(" ", 1)[0].lower()
        if kind in _EFFECTS and _still(container, kind):
            found.append(_finding(situation, container, kind, event))
    return found or _not_ready(situation)


def _unhealthy(situation: Situation, container: Container) -> Object | None:
    """The newest event of a probe of this container."""
    for event in reversed(situation.events):
        path = str((event.get("involvedObject") or {}).get("fieldPath") or "")
        if event.get("reason") == "Unhealthy" and (not path or f"{{{container.name}}}" in path):
            return event
    return None


def _still(container: Container, kind: str) -> bool:
    """Whether it can be seen that the probe fails now: events tell of the past."""
    if kind == "readiness":
        return bool(container.running) and not container.status.get("ready")
    return container.restarts > 0 or not container.status.get("ready")


def _finding(situation: Situation, container: Container, kind: str, event: Object) -> Finding:
    effect = _EFFECTS[kind]
    headline = f"{situation.title}: the {kind} probe of container {container.name} fails: {effect}."
    restarts = (
        f"; it was restarted {times(container.restarts)}"
        if container.restarts and kind != "readiness"
        else ""
    )
    facts = [
        Fact(str(event.get("message")) + restarts, event_text(event), event_time(event)),
        Fact(
            f"The probe: {_probe(container, kind)}.",
            f"spec.containers[].{kind}Probe",
            None,
            "See that the program answers there, and that the probe gives it enough time.",
        ),
    ]
    return Finding(facts, headline, 76 if kind == "readiness" else 78)


def _probe(container: Container, kind: str) -> str:
    probe = container.spec.get(f"{kind}Probe") or {}
    if "httpGet" in probe:
        get = probe["httpGet"]
        what = f"GET {get.get('path', '/')} at port {get.get('port')}"
    elif "tcpSocket" in probe:
        what = f"a connection to port {probe['tcpSocket'].get('port')}"
    elif "exec" in probe:
        what = "the command " + " ".join(probe["exec"].get("command") or [])[:200]
    else:
        what = "gRPC"
    return (
        f"{what} every {probe.get('periodSeconds', 10)} s, {probe.get('failureThreshold', 3)} failures count"
    )


def _not_ready(situation: Situation) -> list[Finding]:
    """Without an event it is only known that the container is not ready."""
    if situation.obj["metadata"].get("deletionTimestamp"):
        return []
    found = []
    for container in containers(situation.obj):
        if container.initial or not container.running or container.status.get("ready"):
            continue
        since = container.running.get("startedAt")
        what = (
            "its readiness probe has not succeeded"
            if container.spec.get("readinessProbe")
            else "it has not started yet"
        )
        headline = f"{situation.title}: container {container.name} runs, but is not ready: {what}."
        found.append(Finding([Fact("ready is false.", "status of the container", since)], headline, 62))
    return found
