"""A run's outcome for others: report.json, junit.xml, report.html. All are made from `outcome.Outcome`s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from components.cluster.errors import ClusterError
from components.drills.report.html import page
from components.drills.report.junit import suite
from components.drills.report.outcome import Outcome, document
from kvstore.check.history import Record, encode


def write(directory: Path, outcomes: Sequence[Outcome]) -> None:
    """All of it, over what is there; the histories of runs that failed, too. Raises ClusterError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(document(outcomes)), indent=1)
        (directory / "report.json").write_bytes(content + b"\n")
        (directory / "junit.xml").write_text(suite(outcomes), encoding="utf-8")
        (directory / "report.html").write_text(page(outcomes), encoding="utf-8")
        for number, outcome in enumerate(outcomes, 1):
            if not outcome.verdict.passed:
                _histories(directory, number, outcome)
    except OSError as error:
        raise ClusterError(
            f"{error.filename or directory}: cannot be written: {error.strerror}", "choose another --report"
        ) from error


def _histories(directory: Path, number: int, outcome: Outcome) -> None:
    """As `kvstore check` reads them (of a cluster that others write to, too, with those revisions left out)."""
    for clients, history in outcome.seen.histories.items():
        records: list[Record] = [*history.calls, *history.watches, *history.watched]
        path = directory / f"run-{number}-{clients}.jsonl"
        path.write_bytes(b"".join(encode(record) + b"\n" for record in records))
