"""What the object owns and is not well explains it: a deployment is as its pods are."""

from __future__ import annotations

from collections.abc import Callable

from components.insight.situation import Fact, Finding, Situation

_NOTABLE = 60


def find(situation: Situation) -> list[Finding]:
    from components.insight.explain import REASONS

    best = [_heaviest(part, REASONS) for part in situation.parts]
    found = sorted((finding for finding in best if finding is not None), key=lambda one: -one.weight)
    if not found:
        return []
    facts = [
        fact for finding in found[:3] for fact in (Fact(finding.headline, "what it owns"), *finding.facts[:3])
    ]
    heaviest = found[0]
    headline = f"{situation.title} is not as it should be: {heaviest.headline}"
    return [Finding(facts, headline, min(heaviest.weight, 79))]


def _heaviest(part: Situation, reasons: tuple[Callable[[Situation], list[Finding]], ...]) -> Finding | None:
    findings = [finding for reason in reasons for finding in reason(part) if finding.headline]
    notable = [finding for finding in findings if finding.weight >= _NOTABLE]
    return max(notable, key=lambda finding: finding.weight, default=None)
