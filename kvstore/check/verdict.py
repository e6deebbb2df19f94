"""Everything that can be said about one history."""

from __future__ import annotations

from dataclasses import dataclass

from kvstore.check.compare import difference
from kvstore.check.history import Call, History, Range
from kvstore.check.model import Model
from kvstore.check.partition import partition
from kvstore.check.prepare import ordered_calls, serializable_reads
from kvstore.check.search import DEFAULT_BUDGET, Found, Window, search
from kvstore.check.watches import Violation, check_watches


@dataclass(frozen=True)
class StaleRead:
    """A serializable read that shows no state the store ever had."""

    call: Call
    reason: str


@dataclass(frozen=True)
class Verdict:
    """`linearizable` is None when the search gave up; then, and without revisions, watches are judged alone."""

    linearizable: bool | None
    window: Window | None
    violations: tuple[Violation, ...]
    stale_reads: tuple[StaleRead, ...]
    calls: int
    unknown: int
    events: int
    last_revision: int
    steps: int

    @property
    def passed(self) -> bool:
        return self.linearizable is True and not self.violations and not self.stale_reads


def check(history: History, *, budget: int = DEFAULT_BUDGET) -> Verdict:
    """`budget`: how many times the search may ask the model before it gives up."""
    parts = partition(ordered_calls(history)) or [[]]
    results = [search(part, history, budget=budget) for part in parts]
    failed = next((r for r in results if not r.ok), None)
    model = results[0].model if failed is None and len(parts) == 1 else None
    return Verdict(
        linearizable=True if failed is None else failed.ok,
        window=failed.window if failed else None,
        violations=tuple(check_watches(history, model)),
        stale_reads=tuple(_stale(history, model)) if model is not None else (),
        calls=len(history.calls),
        unknown=sum(call.outcome == "unknown" for call in history.calls),
        events=sum(len(response.events) for response in history.watched),
        last_revision=_last_revision(results),
        steps=sum(r.steps for r in results),
    )


def _last_revision(results: list[Found]) -> int:
    return max(r.model.revision for r in results)


def _stale(history: History, model: Model) -> list[StaleRead]:
    return [
        StaleRead(call, reason)
        for call in serializable_reads(history)
        if (reason := _stale_reason(call, model))
    ]


def _stale_reason(call: Call, model: Model) -> str | None:
    request, result = call.request, call.result
    assert isinstance(request, Range)
    if result is None or result.revision is None:
        return None
    revision = result.revision
    if revision > model.revision:
        return f"answered at revision {revision}, the store never came beyond {model.revision}"
    if revision < model.first_revision or 0 < request.revision < model.first_revision:
        return None  # what was stored then is not known
    return difference(result, model.range_at(request, revision))
