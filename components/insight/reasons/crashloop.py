"""A container ends again and again, or cannot be started at all."""

from __future__ import annotations

from typing import Final

from components.insight.situation import Container, Fact, Finding, Situation, containers, times

_CODES: Final = {
    1: "an error of its own",
    126: "its command cannot be executed",
    127: "its command was not found",
    128: "it could not be started",
    134: "it aborted (SIGABRT)",
    137: "it was killed (SIGKILL), by its node or for want of memory",
    139: "it crashed (SIGSEGV)",
    143: "it was told to end (SIGTERM)",
}
_CANNOT: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
        "PostStartHookError",
    }
)


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod"):
        return []
    found = []
    for container in containers(situation.obj):
        reason = container.waiting.get("reason")
        if reason == "CrashLoopBackOff":
            found.append(_crashing(situation, container))
        elif reason in _CANNOT:
            found.append(_unstartable(situation, container, str(reason)))
    return found


def _crashing(situation: Situation, container: Container) -> Finding:
    ended = container.ended
    code = ended.get("exitCode")
    headline = (
        f"{situation.title}: container {container.name} ends again and again"
        f"{f' with exit code {code}' if code is not None else ''}; it was restarted {times(container.restarts)}."
    )
    facts = [_end(situation, container)] if ended else []
    facts.append(
        Fact(
            f"The kubelet waits before it starts it again: {container.waiting.get('message') or 'CrashLoopBackOff'}.",
            "status of the container",
        )
    )
    return Finding(facts, headline, 82)


def _end(situation: Situation, container: Container) -> Fact:
    ended = container.ended
    code = int(ended.get("exitCode") or 0)
    meaning = (
        "it did all it had to do, and a container of this pod is to run for ever"
        if not code
        else _CODES.get(code)
    )
    text = f"It ended last with exit code {code}"
    if ended.get("reason") not in (None, "", "Error", "Completed"):
        text += f" ({ended['reason']})"
    if meaning:
        text += f": {meaning}"
    if ended.get("message"):
        text += f'. It says: "{str(ended["message"]).strip()[:300]}"'
    logs = f"kubectl -n {situation.namespace} logs {situation.name} -c {container.name} --previous"
    return Fact(
        text + ".", "status of the container", ended.get("finishedAt"), f"See what it printed: {logs}"
    )


def _unstartable(situation: Situation, container: Container, reason: str) -> Finding:
    message = container.waiting.get("message") or reason
    headline = f"{situation.title} cannot start container {container.name}: {reason}."
    return Finding([Fact(str(message), "status of the container")], headline, 81)
