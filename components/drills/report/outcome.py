"""One run with its verdict, and what of it goes into report.json (P)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from components.drills.observed import Observed
from components.drills.spec import Drill
from components.drills.verdict import Verdict


@dataclass(frozen=True)
class Outcome:
    """`site`: own, directory or remote. `network`: how links could be cut."""

    name: str
    drill: Drill
    seed: int
    site: str
    network: str
    seen: Observed
    verdict: Verdict


def summary(outcome: Outcome) -> dict[str, Any]:
    """The verdict as JSON has it: passed, figures, checks, problems."""
    built: dict[str, Any] = msgspec.to_builtins(outcome.verdict)
    return built


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """report.json. Stable; fields may be added."""
    first = outcomes[0]
    return {
        "drill": first.name,
        "title": first.drill.title,
        "description": " ".join(first.drill.description.split()),
        "passed": all(outcome.verdict.passed for outcome in outcomes),
        "runs": [_run(outcome) for outcome in outcomes],
    }


def _run(outcome: Outcome) -> dict[str, Any]:
    seen = outcome.seen
    return {
        "seed": outcome.seed,
        "site": outcome.site,
        "network": outcome.network,
        "seconds": round(seen.end, 3),
        **summary(outcome),
        "moments": msgspec.to_builtins(seen.moments),
        "operations": {clients: len(history.calls) for clients, history in seen.histories.items()},
        "requests": len(seen.requests),
        "leaders": leaders(seen),
    }


def leaders(seen: Observed) -> list[dict[str, Any]]:
    """Who was seen to lead, from when on."""
    found: list[dict[str, Any]] = []
    for sample in seen.samples:
        if not found or (found[-1]["leader"], found[-1]["term"]) != (sample.leader, sample.term):
            found.append({"time": sample.time, "leader": sample.leader, "term": sample.term})
    return found


def shown(value: float | None, unit: str) -> str:
    """A figure's value in words."""
    if value is None:
        return "-"
    if unit == "s":
        return f"{value:.2f} s"
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:g}"
