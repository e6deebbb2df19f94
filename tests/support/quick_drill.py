"""Stands in for `kuberaft drill` where only who starts drills is tested: it says a few words and writes a report.

`list -o json` names two drills. `NAME --report DIR ...` ends with 0, `wrong` with 1; `--hold` waits for SIGINT first.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

DRILLS = [
    {"name": "leader-kill", "description": "The leader dies; clients write on within seconds."},
    {"name": "wrong", "description": "A hypothesis that does not hold."},
]
REPORT = """<!doctype html><title>Report</title><style>h1 {color: #1a7f4b}</style>
<h1>leader-kill</h1><p id="said">no script</p>
<script>document.getElementById("said").textContent = "the hypothesis held";</script>
"""


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> int:
    if sys.argv[1] == "list":
        print(json.dumps(DRILLS))
        return 0
    name, report = sys.argv[1], Path(sys.argv[sys.argv.index("--report") + 1])
    say(phase="steady", text="every master answers", elapsed=0.1)
    print("a word that is no JSON", flush=True)
    if "--hold" in sys.argv:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        say(phase="holding", text="until told to end")
        signal.sigwait({signal.SIGINT})
        return 130
    say(phase="verdict", text="RTO 1.2 s of at most 3 s", elapsed=0.4, rto=1.2)
    report.mkdir(parents=True, exist_ok=True)
    (report / "report.html").write_text(REPORT)
    return 1 if name == "wrong" else 0


if __name__ == "__main__":
    sys.exit(main())
