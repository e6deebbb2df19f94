"""A run's figures and checks against what the drill promises (P)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from components.cluster.quantities import seconds
from components.drills import measure
from components.drills.checks import CHECKS, Check, judge
from components.drills.observed import Observed
from components.drills.spec import Drill, Limits
from kvstore.check.report import timed

SHOWN = 20


class Figure(Struct, frozen=True):
    """`unit`: s, share, or empty for a count. `held` is None where nothing was promised, or nothing measured."""

    name: str
    title: str
    value: float | None
    unit: str
    limit: float | None
    held: bool | None


class Verdict(Struct, frozen=True):
    """`passed`: every promise was kept and every check that was asked for had an answer."""

    passed: bool
    figures: list[Figure]
    checks: list[Check]
    problems: list[str]


_FIGURES: tuple[tuple[str, str, str, Callable[[Observed], float | None]], ...] = (
    ("write_outage", "time without a successful write", "s", lambda seen: measure.outage(seen, reads=False)),
    ("read_outage", "time without a successful read", "s", lambda seen: measure.outage(seen, reads=True)),
    ("lost_writes", "acknowledged writes lost", "", lambda seen: len(measure.lost_writes(seen))),
    ("error_rate", "operations without an answer", "share", measure.error_rate),
    ("unretried", "failed calls that no client tries again", "", measure.unretried),
    ("failed_requests", "failed requests to the service", "", measure.failed_requests),
    ("lost_pods", "pods of the service lost or restarted", "", measure.lost_pods),
    ("leader_changes", "changes of the store's leader", "", measure.leader_changes),
    ("recovery", "until everything was at work again", "s", lambda seen: seen.recovery),
    ("watch_lag", "longest lag of a watch", "s", measure.watch_lag),
)


def decide(drill: Drill, seen: Observed) -> Verdict:
    """The whole verdict on one run."""
    figures = [_figure(drill.hypothesis, seen, *row) for row in _FIGURES]
    judged = judge(seen)
    checks = [CHECKS[name](seen, judged) for name in drill.checks]
    problems = [*seen.problems]
    problems += [f"lost: {timed(call, seen.origin)}" for call in measure.lost_writes(seen)[:SHOWN]]
    kept = all(figure.held is not False for figure in figures) and all(check.held for check in checks)
    return Verdict(kept and not problems, figures, checks, problems)


def _figure(
    limits: Limits, seen: Observed, name: str, title: str, unit: str, of: Callable[[Observed], float | None]
) -> Figure:
    value, promise = of(seen), _number(getattr(limits, name))
    if promise is None:
        held = None
    elif value is None:
        held = False if name in _MUST_BE_MEASURED else None
    else:
        held = value <= promise
    return Figure(name, title, None if value is None else round(value, 4), unit, promise, held)


_MUST_BE_MEASURED = frozenset({"recovery", "write_outage", "read_outage"})
"""Without a value for these, nobody knows whether the promise was kept: then it was not."""


def _number(limit: Any) -> float | None:
    return seconds(limit) if isinstance(limit, str) else limit
