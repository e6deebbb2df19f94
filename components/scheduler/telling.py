"""One scheduling decision as a record (P): what was filtered and why, how the rest scored, what came of it.

Fed by `scheduler` with what `algorithm` remembers of its last decision; the records go to the journal of the process.
"""

from __future__ import annotations

from heapq import nlargest
from itertools import islice
from typing import Any, Final

from components.scheduler.algorithm import Trace

_MOST_FILTERED: Final = 50
_MOST_SCORED: Final = 10


def detail(trace: Trace, result: str, node: str, milliseconds: float) -> dict[str, Any]:
    """``result``: bound, unschedulable or error."""
    rejected = trace.rejected.nodes
    told: dict[str, Any] = {
        "result": result,
        "node": node,
        "filtered": [
            {"node": name, "plugin": trace.rejected.by[name], "reason": ", ".join(rejection.reasons)}
            for name, rejection in islice(rejected.items(), _MOST_FILTERED)
        ],
        "scores": _scores(trace),
        "ms": round(milliseconds, 3),
        "preempted": [],
    }
    if len(rejected) > _MOST_FILTERED:
        told["filteredMore"] = len(rejected) - _MOST_FILTERED
    return told


def _scores(trace: Trace) -> list[dict[str, Any]]:
    """The best nodes, best first. One possible node needs no score."""
    totals = trace.totals
    best = nlargest(_MOST_SCORED, range(len(totals)), key=totals.__getitem__)
    return [
        {
            "node": trace.possible[at].name,
            "total": int(totals[at]),
            "plugins": {name: weight * int(points[at]) for name, weight, points in trace.points},
        }
        for at in best
    ]


def summary(trace: Trace, pod: str, node: str) -> str:
    """Of a pod that has got a node."""
    rejected, possible = len(trace.rejected.nodes), len(trace.possible)
    if possible == 1:
        return f"{pod} goes to {node}: the only node that is possible ({rejected} filtered out)"
    return f"{pod} goes to {node}: the best score of {possible} possible nodes ({rejected} filtered out)"
