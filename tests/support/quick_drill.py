"""Stands in for `kuberaft drill` where only who starts drills is tested: it says a few words and writes a report.

`list -o json` names the drills. `NAME --report DIR ...` ends with 0, `wrong` with 1, `held` when it gets SIGINT.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

DRILLS = [
    {
        "name": "leader-kill",
        "title": "The leader dies",
        "description": "Killed while clients write and read. No acknowledged write may be lost.",
        "needs": [],
        "seconds": 20,
    },
    {"name": "held", "title": "Until it is stopped", "description": "", "needs": [], "seconds": 60},
    {
        "name": "wrong",
        "title": "What does not hold",
        "description": "",
        "needs": ["own-cluster"],
        "seconds": 9,
    },
]
CHECK = {"name": "linearizable", "text": "200 operations have an order", "held": True, "offending": []}
REPORT = """<!doctype html><title>Report</title><style>h1 {color: #1a7f4b}</style>
<h1>leader-kill</h1><p id="said">no script</p>
<script>document.getElementById("said").textContent = "the hypothesis held";</script>
"""


def figure(held: bool) -> dict[str, object]:
    title = "longest time without a write"
    return {
        "name": "writeOutage",
        "title": title,
        "value": 1.2,
        "unit": "s",
        "limit": 4.0 if held else 1.0,
        "held": held,
    }


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> int:
    if sys.argv[1] == "list":
        print(json.dumps(DRILLS))
        return 0
    name, report = sys.argv[1], Path(sys.argv[sys.argv.index("--report") + 1])
    say(event="run", drill=name, run=1, runs=1, seed=7, site="directory" if "--dir" in sys.argv else "own")
    print("a word that is no JSON", flush=True)
    if name == "held":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        say(event="phase", phase="steady", time=0.0)
        signal.sigwait({signal.SIGINT})
        return 130
    say(event="phase", phase="faults", time=1.0)
    say(event="fault", time=1.1, step=0, text="m1 gets SIGKILL")
    say(event="state", time=1.6, leader="m2", masters=2, nodes=2, reads=120, writes=80, errors=3, requests=44)
    held = name != "wrong"
    say(event="verdict", run=1, passed=held, figures=[figure(held)], checks=[CHECK], problems=[])
    say(event="end", passed=held, report=str(report))
    report.mkdir(parents=True, exist_ok=True)
    (report / "report.html").write_text(REPORT)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
