"""A quota of the namespace refuses it."""

from __future__ import annotations

import re
from typing import Final

from components.insight.reasons.messages import refusals, subject, who
from components.insight.situation import Fact, Finding, Situation

_EXCEEDED: Final = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<limit>.+)$"
)
_UNSET: Final = re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.+)$")


def find(situation: Situation) -> list[Finding]:
    for refusal in refusals(situation):
        exceeded = _EXCEEDED.search(refusal.message)
        if exceeded is not None:
            text = (
                f"Quota {exceeded['name']} allows {exceeded['limit']}; {exceeded['used']} is used, "
                f"and {exceeded['asked']} was asked for."
            )
            remedy = (
                f"Delete something in {situation.namespace}, ask for less, or raise quota {exceeded['name']}."
            )
            headline = f"{subject(situation)} because quota {exceeded['name']} would be exceeded."
            facts = [Fact(text, refusal.evidence, refusal.since, remedy), who(refusal)]
            return [Finding(facts, headline, 88)]
        unset = _UNSET.search(refusal.message)
        if unset is not None:
            text = f"Quota {unset['name']} counts these, so every pod must say them: {unset['what']}."
            headline = f"{subject(situation)} because quota {unset['name']} needs {unset['what']}."
            told = Fact(text, refusal.evidence, refusal.since)
            return [Finding([told, who(refusal)], headline, 88)]
    return []
