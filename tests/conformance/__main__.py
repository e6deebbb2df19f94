"""`python -m tests.conformance [--update] [--show] [FAMILY ...]`: replay, and print one line a family.

--update writes the list of passing scenarios that the tests hold; --show prints every difference.
"""

from __future__ import annotations

import json
import sys

from tests.conformance.corpus_runner import PASSING, families, run_family
from tests.conformance.server import api_server


def main() -> int:
    arguments = sys.argv[1:]
    chosen = [a for a in arguments if not a.startswith("-")] or families()
    passing = json.loads(PASSING.read_text()) if PASSING.exists() else {}
    with api_server() as url:
        for family in chosen:
            results = run_family(url, family)
            passing[family] = sorted(name for name, problems in results if not problems)
            print(f"{family:24} {len(passing[family]):4} of {len(results):4} pass", flush=True)
            if "--show" in arguments:
                show(results)
    if "--update" in arguments:
        PASSING.write_text(json.dumps(passing, indent=1, sort_keys=True) + "\n")
    return 0


def show(results: list[tuple[str, list[str]]]) -> None:
    for name, problems in results:
        for problem in problems:
            print(f"  {name}: {problem}")


if __name__ == "__main__":
    sys.exit(main())
