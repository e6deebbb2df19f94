"""`python -m tests.robustness.rolling --rounds 3`: a line a restart, then a verdict; exit status 1 for problems."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.robustness.rolling.drill import Size, drill
from tests.support.local_cluster import LocalCluster

TOPOLOGY = """\
name: rolling
masters: {count: 3, apiPort: 0}
workers: {count: 0}
timing: {apiShutdownDelay: 600ms}
"""
SHOWN = 40


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.rolling")
    parser.add_argument("--informers", type=int, default=200)
    parser.add_argument("--sdk-watches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = Size(options.informers, sdk_watches=options.sdk_watches, rounds=options.rounds)
    with tempfile.TemporaryDirectory(prefix="kuberaft-rolling-") as folder:
        cluster = LocalCluster(Path(folder) / "cluster")
        try:
            cluster.up(TOPOLOGY)
            verdict = asyncio.run(drill(cluster, size, lambda text: print(text, flush=True)))
        finally:
            cluster.close()
    print(verdict)
    for problem in verdict.problems[:SHOWN]:
        print(f"    {problem}")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
