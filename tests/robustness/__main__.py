"""`python -m tests.robustness --runs 200 --seconds 5`: one line a run; exit status 1 if one failed.

Everything about it is in docs/robustness.md.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
from pathlib import Path

from kvstore.check.report import report
from tests.robustness.harness.cluster import OURS
from tests.robustness.harness.run import FAULTS, Outcome, Plan, run


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # members and disks are cleaned up then, too
    first = options.seed or random.randrange(1, 1 << 30)
    program = (_etcd(),) if options.etcd else OURS
    only = tuple(filter(None, options.faults.split(",")))
    failed = 0
    for seed in range(first, first + options.runs):
        outcome = run(
            Plan(
                seed,
                options.seconds,
                only,
                program,
                flags=options.flag,
                keep=options.keep,
                keep_all=options.keep_all,
            )
        )
        print(outcome.line(), flush=True)
        failed += not outcome.passed
        if not outcome.passed:
            _explain(outcome)
    print(
        f"{options.runs - failed} of {options.runs} runs passed, seeds {first} to {first + options.runs - 1}"
    )
    return 1 if failed else 0


def _explain(outcome: Outcome) -> None:
    for problem in outcome.problems:
        print(f"    {problem}")
    if outcome.verdict is not None and not outcome.verdict.passed:
        print("    " + report(outcome.verdict).replace("\n", "\n    "), flush=True)


def _etcd() -> str:
    path = shutil.which("etcd")
    if path is None:
        sys.exit("etcd is not installed")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long faults go on in a run")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; random if left out")
    parser.add_argument("--faults", default="", help="only these: " + ",".join(kind.name for kind in FAULTS))
    parser.add_argument(
        "--flag", action="append", default=[], help="for every member, as --flag=--unsafe-no-fsync"
    )
    parser.add_argument("--etcd", action="store_true", help="against a real etcd, to test the tests")
    parser.add_argument("--keep", type=Path, help="where failed runs leave history, page and logs")
    parser.add_argument("--keep-all", action="store_true", help="keep that of runs that passed, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
