"""From a situation to its explanation (P): one sentence, the facts behind it, what to do.

Every reason in `reasons` is asked; each finds what is its own or nothing. The heaviest finding gives the headline.
Where nothing is found, that is said, and not guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from apiserver.api import meta
from components.insight.reasons import (
    affinity,
    claims,
    conditions,
    crashloop,
    deleting,
    endings,
    endpoints,
    image,
    insufficient,
    missing,
    nodelost,
    nodes,
    parts,
    placement,
    probes,
    quota,
    refused,
    rollout,
    scheduling,
    starting,
    taints,
    volumes,
    webhooks,
)
from components.insight.situation import Fact, Finding, Situation

REASONS: Final[tuple[Callable[[Situation], list[Finding]], ...]] = (
    missing.find,
    deleting.find,
    nodelost.find,
    quota.find,
    webhooks.find,
    refused.find,
    insufficient.find,
    taints.find,
    affinity.find,
    scheduling.find,
    volumes.find,
    image.find,
    crashloop.find,
    probes.find,
    endings.find,
    starting.find,
    rollout.find,
    endpoints.find,
    nodes.find,
    claims.find,
    conditions.find,
    parts.find,
    placement.find,
)
"""In the order in which their facts are shown where they weigh the same."""


class Explanation(msgspec.Struct, rename="camel"):
    """See the endpoint ``why``."""

    kind: str
    object: dict[str, str]
    headline: str
    facts: list[Fact]
    last_change: dict[str, Any] | None = None
    missing: list[dict[str, str]] = []


def explain(situation: Situation) -> Explanation:
    findings = [finding for find in REASONS for finding in find(situation)]
    findings.sort(key=lambda finding: -finding.weight)
    headline = next((finding.headline for finding in findings if finding.headline), "")
    facts = [fact for finding in findings for fact in finding.facts]
    return Explanation(
        "Explanation", reference(situation), headline or _nothing(situation), _without_repeats(facts)
    )


def reference(situation: Situation) -> dict[str, str]:
    kind = situation.kind
    return {
        "resource": kind.resource,
        "group": kind.group,
        "kind": kind.kind,
        "namespace": situation.namespace,
        "name": situation.name,
        "uid": meta.uid(situation.object) if situation.object is not None else "",
    }


def _nothing(situation: Situation) -> str:
    ready = situation.condition("Ready") or situation.condition("Available")
    if ready.get("status") == "True":
        return f"{situation.title} is well: {ready['type']} is True."
    return f"{situation.title} shows nothing that is known to be wrong; why it is as it is cannot be said from here."


def _without_repeats(facts: list[Fact]) -> list[Fact]:
    seen: set[str] = set()
    found = []
    for fact in facts:
        if fact.text not in seen:
            seen.add(fact.text)
            found.append(fact)
    return found
