"""Reads the scheduler's message and the API server's refusals (P); both are Kubernetes' own words."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from components.insight.situation import Fact, Situation, event_text, event_time

_REASON: Final = re.compile(r"(\d+) (.+?)(?=, \d+ |$)")
_WITH_PODS: Final = frozenset(
    {"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "CronJob"}
)
_HEAD: Final = re.compile(r"^(\d+)/(\d+) nodes are available: ")


_PASSING: Final = frozenset({401, 404, 409, 429, 499, 503, 504})
"""Codes that say nothing of the object that was sent."""


class Verdict(NamedTuple):
    """The scheduler's last word on a pod that has no node. ``reasons``: how many nodes each keeps away."""

    nodes: int
    reasons: dict[str, int]
    message: str
    since: str
    evidence: str

    def matching(self, *parts: str) -> dict[str, int]:
        return {
            reason: count for reason, count in self.reasons.items() if any(part in reason for part in parts)
        }


def parse(message: str) -> tuple[int, dict[str, int]]:
    """(how many nodes there are, how many each reason keeps away)."""
    told = message.split(" preemption:", 1)[0].split(". ", 1)[0].strip().rstrip(".")
    head = _HEAD.match(told)
    if head is None:
        return 0, {}
    reasons: dict[str, int] = {}
    for count, reason in _REASON.findall(told[head.end() :]):
        reasons[reason] = reasons.get(reason, 0) + int(count)
    return int(head.group(2)), reasons


def verdict(situation: Situation) -> Verdict | None:
    """None for a pod that has a node, and where the scheduler has not said anything yet."""
    if not situation.is_a("Pod") or situation.spec.get("nodeName"):
        return None
    condition = situation.condition("PodScheduled")
    if condition.get("status") == "False" and condition.get("reason") == "Unschedulable":
        message = str(condition.get("message") or "")
        since, evidence = str(condition.get("lastTransitionTime") or ""), "condition PodScheduled"
    else:
        event = situation.last_event("FailedScheduling")
        if event is None:
            return None
        message, since, evidence = str(event.get("message") or ""), event_time(event), event_text(event)
    nodes, reasons = parse(message)
    return Verdict(nodes, reasons, message, since, evidence)


class Refusal(NamedTuple):
    """A request that the API server refused, in whose name, and where that is known from."""

    message: str
    since: str
    evidence: str
    what: str


def refusals(situation: Situation) -> list[Refusal]:
    """Of the object itself and of what its controller wanted to make for it, the newest first."""
    found = [*_recorded(situation), *_conditions(situation), *_events(situation)]
    return sorted(found, key=lambda refusal: refusal.since, reverse=True)


def _recorded(situation: Situation) -> list[Refusal]:
    """The last word on the object: one that was accepted later is no longer refused."""
    requests = [r for r in situation.records if r.source == "apiserver" and not r.detail.get("subresource")]
    if not requests:
        return []
    last = requests[-1]
    if last.detail.get("code", 0) < 400 or last.detail["code"] in _PASSING:
        return []
    user, verb = last.detail.get("user", "somebody"), last.detail.get("verb", "write")
    what = f"{user} asked to {verb} it"
    message = str(last.detail.get("message") or f"code {last.detail['code']}")
    return [Refusal(message, last.time, f"request {last.detail.get('auditID', '')}".strip(), what)]


def _conditions(situation: Situation) -> list[Refusal]:
    found = []
    for name in ("ReplicaFailure", "FailedCreate"):
        condition = situation.condition(name)
        if condition.get("status") == "True" and condition.get("message"):
            since = str(condition.get("lastTransitionTime") or "")
            found.append(Refusal(str(condition["message"]), since, f"condition {name}", _its_pods(situation)))
    return found


def _events(situation: Situation) -> list[Refusal]:
    event = situation.last_event("FailedCreate")
    if event is None or situation.kind.kind == "Deployment" or _was_made_later(situation, event_time(event)):
        return []
    return [
        Refusal(str(event.get("message") or ""), event_time(event), event_text(event), _its_pods(situation))
    ]


def _was_made_later(situation: Situation, moment: str) -> bool:
    made = situation.last_event("SuccessfulCreate")
    return made is not None and event_time(made) > moment


def _its_pods(situation: Situation) -> str:
    return f"The controller asked to create a pod of {situation.kind.kind} {situation.name}"


def subject(situation: Situation) -> str:
    """What a refusal keeps from being as it should; the beginning of a sentence."""
    if situation.object is None:
        return f"{situation.title} was not created"
    if situation.kind.kind in _WITH_PODS:
        return f"{situation.title} has too few pods"
    return f"The last change of {situation.title} was refused"


def who(refusal: Refusal) -> Fact:
    return Fact(f"{refusal.what} and was refused.", refusal.evidence, refusal.since)
