"""Why a pod is where it is: the scheduler's last decision, as it told it, or as its event has it."""

from __future__ import annotations

from typing import Any

from components.insight.situation import Fact, Finding, Situation, event_text, event_time


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod") or not situation.spec.get("nodeName"):
        return []
    node = situation.spec["nodeName"]
    headline = _headline(situation, node)
    decision = next(
        (
            r
            for r in reversed(situation.records)
            if r.source == "scheduler" and r.detail.get("result") == "bound"
        ),
        None,
    )
    if decision is not None:
        facts = [Fact(f"Scheduler: {decision.summary}.", "decision of the scheduler", decision.time)]
        facts += _scores(decision.detail) + _filtered(decision.detail)
        return [Finding(facts, headline, 24)]
    event = situation.last_event("Scheduled")
    if event is not None:
        return [
            Finding([Fact(str(event.get("message")), event_text(event), event_time(event))], headline, 24)
        ]
    fact = Fact(f"It is on node {node}; who placed it there is no longer known.", "spec.nodeName")
    return [Finding([fact], headline, 24)]


def _headline(situation: Situation, node: str) -> str:
    since = situation.condition("Ready")
    if since.get("status") == "True":
        return f"{situation.title} is well: it runs on {node} and is ready."
    return f"{situation.title} is on {node}; nothing is known to be wrong with it."


def _scores(detail: dict[str, Any]) -> list[Fact]:
    found = []
    for score in (detail.get("scores") or [])[:3]:
        parts = ", ".join(f"{name} {points}" for name, points in score["plugins"].items())
        found.append(
            Fact(f"Score of {score['node']}: {score['total']} ({parts}).", "decision of the scheduler")
        )
    return found


def _filtered(detail: dict[str, Any]) -> list[Fact]:
    return [
        Fact(
            f"{one['node']} was not possible: {one['reason']} ({one['plugin']}).", "decision of the scheduler"
        )
        for one in (detail.get("filtered") or [])[:5]
    ]
