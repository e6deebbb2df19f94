"""There is no object of that name."""

from __future__ import annotations

from components.insight.reasons.messages import refusals
from components.insight.situation import Fact, Finding, Situation

_DELETIONS = frozenset({"delete", "evict", "deletecollection"})


def find(situation: Situation) -> list[Finding]:
    if situation.object is not None:
        return []
    headline = f"There is no {situation.title}."
    facts = [*_deleted(situation)]
    if not facts and not refusals(situation):
        facts = [Fact("Nothing is known of an object of that name.", "no object, no record, no event")]
    return [Finding(facts, headline, 50)]


def _deleted(situation: Situation) -> list[Fact]:
    for record in reversed(situation.records):
        detail = record.detail
        if detail.get("verb") in _DELETIONS and detail.get("code", 500) < 400:
            user = detail.get("user", "somebody")
            return [Fact(f"{user} deleted it.", f"request {detail.get('auditID', '')}", record.time)]
    return []
