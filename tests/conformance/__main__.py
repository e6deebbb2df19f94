"""`python -m tests.conformance [--update] [--show] [FAMILY ...]`: replay, and print one line a family."""

from __future__ import annotations

import argparse
import json
import sys

from tests.conformance.corpus_runner import PASSING, families, run_family
from tests.conformance.server import api_server


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.conformance", description="Replay recorded scenarios.")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="none: all")
    parser.add_argument("--update", action="store_true", help="write the list of scenarios that pass")
    parser.add_argument("--show", action="store_true", help="print every difference")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.families if name not in families()]:
        parser.error(f"no family {', '.join(unknown)}; there are: {', '.join(families())}")
    passing = json.loads(PASSING.read_text()) if PASSING.exists() else {}
    with api_server() as url:
        for family in arguments.families or families():
            results = run_family(url, family)
            passing[family] = sorted(name for name, problems in results if not problems)
            print(f"{family:24} {len(passing[family]):4} of {len(results):4} pass", flush=True)
            if arguments.show:
                show(results)
    if arguments.update:
        PASSING.write_text(json.dumps(passing, indent=1, sort_keys=True) + "\n")
    return 0


def show(results: list[tuple[str, list[str]]]) -> None:
    for name, problems in results:
        for problem in problems:
            print(f"  {name}: {problem}")


if __name__ == "__main__":
    sys.exit(main())
