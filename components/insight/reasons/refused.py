"""The API server refuses it for another reason than a quota or a webhook."""

from __future__ import annotations

from typing import Final

from components.insight.reasons.messages import refusals, subject, who
from components.insight.situation import Fact, Finding, Situation

_OTHERS: Final = (
    "exceeded quota:",
    "failed quota:",
    "admission webhook",
    "calling webhook",
    "AdmissionPolicy",
)


def find(situation: Situation) -> list[Finding]:
    for refusal in refusals(situation):
        if any(part in refusal.message for part in _OTHERS):
            return []
        told = Fact(f"The API server says: {refusal.message}", refusal.evidence, refusal.since)
        return [Finding([told, who(refusal)], f"{subject(situation)}: the API server refused it.", 80)]
    return []
