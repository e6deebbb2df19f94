"""A drill's short form: the same faults and promises, less time in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from components.cluster.layout import Layout
from components.cluster.quantities import seconds
from components.drills import catalogue
from components.drills.report.outcome import Outcome
from components.drills.session import Asked, Place, perform
from components.drills.spec import Drill, Workload

FAULT = 1.5
"""Seconds that a fault lasts at most, in a short form."""
SEED = 11
ALONE = Workload(service=False)


def shorter(drill: Drill, *, at_most: float = FAULT, workload: Workload | None = None) -> Drill:
    timeline = [
        msgspec.structs.replace(
            step,
            at=f"{max(0.1, seconds(step.at) / 2 - 0.4):.1f}s",
            lasts=f"{min(seconds(step.lasts), at_most):.1f}s",
        )
        for step in drill.timeline
    ]
    chosen = workload or drill.workload
    cluster = drill.cluster if chosen.service else msgspec.structs.replace(drill.cluster, workers=0)
    return msgspec.structs.replace(
        drill, timeline=timeline, steady="200ms", calm="300ms", workload=chosen, cluster=cluster
    )


def run(name: str, drill: Drill, place: Place | None = None, report: Path | None = None) -> Outcome:
    """One run; its events are printed for a test that fails."""
    asked = Asked(name, drill, place or Place(), seed=SEED, report=report)
    (outcome,) = perform(asked, _print)
    return outcome


def shipped(name: str, **shape: Any) -> Drill:
    return shorter(catalogue.find(name), **shape)


def on(directory: Path) -> Place:
    return Place(layout=Layout.at(directory))


def broken(outcome: Outcome) -> set[str]:
    """The promises and checks that were not kept."""
    verdict = outcome.verdict
    found = {figure.name for figure in verdict.figures if figure.held is False}
    return found | {check.name for check in verdict.checks if check.held is False}


TIMES = frozenset({"write_outage", "read_outage", "watch_lag", "recovery"})
"""How long something takes on a machine that does other work too is measured; the limits are of the full form."""


def assert_passed(outcome: Outcome) -> None:
    """Whatever had to hold did, and the outages were measured."""
    verdict = msgspec.to_builtins(outcome.verdict)
    figures = [one for one in verdict["figures"] if one["name"] not in TIMES]
    wrong = [one for one in figures if one["held"] is False]
    wrong += [one for one in verdict["checks"] if not one["held"]] + verdict["problems"]
    assert not wrong, json.dumps(wrong, indent=1)[:8000]
    measured = {figure["name"] for figure in verdict["figures"] if figure["value"] is not None}
    assert measured >= {"write_outage", "read_outage"}


def _print(event: dict[str, Any]) -> None:
    if event["event"] not in ("state", "verdict"):
        print(json.dumps(event))
