"""What a run tells while it runs; `live` shows it, `--progress json` prints it, one JSON object a line.

    {"event": "run", "drill": "leader-kill", "run": 1, "runs": 1, "seed": 7}
    {"event": "phase", "phase": "start" | "prepare" | "steady" | "faults" | "recovery" | "calm" | "judge", "time": 0.0}
    {"event": "fault", "time": 3.1, "step": 0, "text": "m1 gets SIGKILL"}          also "undone", "note"
    {"event": "state", "time": 3.2, "leader": "m2", "masters": 2, "nodes": 2, "reads": 120, "writes": 80, "errors": 3}
    {"event": "verdict", "run": 1, "passed": true, "figures": [...], "checks": [...], "problems": []}
    {"event": "end", "passed": true, "report": "DIR" | null}
Fields may be added. `time` is seconds since the clients began (0 before).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Tell = Callable[[Event], None]
PHASES = ("start", "prepare", "steady", "faults", "recovery", "calm", "judge")
