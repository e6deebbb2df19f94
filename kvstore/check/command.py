"""`kvstore check HISTORY [--html FILE]`: the verdict on a recorded history; exit status 0 only if all is well."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kvstore.check.history import History, HistoryError, parse
from kvstore.check.html import page
from kvstore.check.report import report
from kvstore.check.search import DEFAULT_BUDGET
from kvstore.check.verdict import check

PASSED, FAILED, UNUSABLE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with options.history.open("rb") as lines:
            history = parse(lines)
    except (OSError, HistoryError) as error:
        print(f"kvstore check: {options.history}: {error}", file=sys.stderr)
        return UNUSABLE
    return _judge(history, options)


def _judge(history: History, options: argparse.Namespace) -> int:
    verdict = check(history, budget=options.budget)
    origin = min((call.call for call in history.calls), default=0)
    print(report(verdict, origin=origin))
    if options.html is not None:
        options.html.write_text(page(history, verdict), encoding="utf-8")
        print(f"written: {options.html}")
    return PASSED if verdict.passed else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kvstore check",
        description="Judges a recorded history: is there an order of the calls that explains every answer, and did "
        "every watch keep its promises? The format is described in docs/robustness.md.",
        epilog="Exit status: 0 all is well, 1 it is not (or no answer within the budget), 2 no usable history.",
    )
    parser.add_argument("history", type=Path, help="the history, one JSON object a line")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the failing window as a page")
    parser.add_argument(
        "--budget",
        type=int,
        default=DEFAULT_BUDGET,
        metavar="STEPS",
        help="give up after so many steps (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
