"""What the status of a Job may say (``validateJobStatus``, ``ValidateJobStatusUpdate``). Pure.

A rule is asked only when something it speaks of has changed: what an older server let in stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from apiserver.api.field_errors import OMITTED, FieldError, Path, duplicate, invalid, required
from apiserver.validation.common import non_negative
from apiserver.validation.job_policies import count_indexes

Object = dict[str, Any]
_STATUS: Final = Path("status")
_CONDITIONS: Final = _STATUS.child("conditions")
_COUNTS: Final = ("active", "succeeded", "failed", "ready", "terminating")


class _Job:
    """One side of the change: its status, and which conditions are true."""

    def __init__(self, job: Object) -> None:
        self.spec, self.status = job.get("spec") or {}, job.get("status") or {}
        conditions = self.status.get("conditions") or ()
        self.true = frozenset(c.get("type") or "" for c in conditions if c.get("status") == "True")
        self.finished = bool(self.true & {"Complete", "Failed"})
        uncounted = self.status.get("uncountedTerminatedPods") or {}
        self.uncounted = [uid for field in ("succeeded", "failed") for uid in uncounted.get(field) or ()]

    def get(self, field: str) -> Any:
        return self.status.get(field)

    @property
    def indexed(self) -> bool:
        return self.spec.get("completionMode") == "Indexed"


def validate_job_status(new: Object, old: Object) -> list[FieldError]:
    job, before = _Job(new), _Job(old)
    found = [e for field in _COUNTS for e in non_negative(job.get(field), _STATUS.child(field))]
    found += _uncounted(job)
    for watched, check in _CHECKS:
        if any(_view(job, what) != _view(before, what) for what in watched):
            found += check(job)
    return found + _conditions(job) + _history(job, before)


def _view(job: _Job, what: str) -> Any:
    """A field of the status, whether it is finished, or whether a condition (capitalised) is true."""
    if what == "finished":
        return job.finished
    return what in job.true if what[:1].isupper() else job.get(what)


def _uncounted(job: _Job) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    uncounted, path = job.get("uncountedTerminatedPods") or {}, _STATUS.child("uncountedTerminatedPods")
    for field in ("succeeded", "failed"):
        for at, uid in enumerate(uncounted.get(field) or ()):
            where = path.child(field).index(at)
            if not uid:
                found.append(invalid(where, uid, "must not be empty"))
            elif uid in seen:
                found.append(duplicate(where, uid))
            seen.add(uid)
    return found


def _never_both(one: str, other: str) -> Callable[[_Job], list[FieldError]]:
    def check(job: _Job) -> list[FieldError]:
        case = "true" if other != "Complete" else "True"
        text = f"cannot set {one}=True and {other}={case} conditions"
        return [invalid(_CONDITIONS, OMITTED, text)] if {one, other} <= job.true else []

    return check


def _needs(one: str, other: str) -> Callable[[_Job], list[FieldError]]:
    def check(job: _Job) -> list[FieldError]:
        text = f"cannot set {one}=True condition without the {other}=true condition"
        return [invalid(_CONDITIONS, OMITTED, text)] if one in job.true and other not in job.true else []

    return check


def _completion_time(job: _Job) -> list[FieldError]:
    time, path, complete = job.get("completionTime"), _STATUS.child("completionTime"), "Complete" in job.true
    if time is not None and not complete:
        return [invalid(path, time, "cannot set completionTime when there is no Complete=True condition")]
    missing = complete and time is None
    return [required(path, "completionTime is required for Complete jobs")] if missing else []


def _times_in_order(job: _Job) -> list[FieldError]:
    start, end = job.get("startTime"), job.get("completionTime")
    if start is None or end is None or end >= start:  # both in UTC and to the second, as all times here
        return []
    return [invalid(_STATUS.child("completionTime"), end, "completionTime cannot be set before startTime")]


def _nothing_left(field: str) -> Callable[[_Job], list[FieldError]]:
    def check(job: _Job) -> list[FieldError]:
        count = job.get(field) or 0
        if not job.finished or count <= 0:
            return []
        return [invalid(_STATUS.child(field), count, f"{field}>0 is invalid for finished job")]

    return check


def _start_time(job: _Job) -> list[FieldError]:
    if not job.finished or job.get("startTime") is not None:
        return []
    return [required(_STATUS.child("startTime"), "startTime is required for finished job")]


def _all_counted(job: _Job) -> list[FieldError]:
    if not job.finished or not job.uncounted:
        return []
    path, text = (
        _STATUS.child("uncountedTerminatedPods"),
        "uncountedTerminatedPods needs to be empty for finished job",
    )
    return [invalid(path, job.get("uncountedTerminatedPods"), text)]


def _completed_indexes(job: _Job) -> list[FieldError]:
    text, completions = job.get("completedIndexes") or "", job.spec.get("completions")
    path = _STATUS.child("completedIndexes")
    found: list[FieldError] = []
    if completions is not None:
        fault = count_indexes(text, completions)[1]
        found += [invalid(path, text, f"error parsing completedIndexes: {fault}")] if fault else []
    if text and not job.indexed:
        refusal = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(invalid(path, text, refusal))
    return found


def _failed_indexes(job: _Job) -> list[FieldError]:
    text, completions, path = (
        job.get("failedIndexes"),
        job.spec.get("completions"),
        _STATUS.child("failedIndexes"),
    )
    if text is None:
        return []
    if job.spec.get("backoffLimitPerIndex") is None:
        refusal = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        return [invalid(path, text, refusal)]
    fault = count_indexes(text, completions)[1] if completions is not None else ""
    return [invalid(path, text, f"error parsing failedIndexes: {fault}")] if fault else []


def _no_overlap(job: _Job) -> list[FieldError]:
    """Indexes fail or complete."""
    failed, done = (_intervals(job.get(f) or "") for f in ("failedIndexes", "completedIndexes"))
    common = [max(a, c) for a, b in failed for c, d in done if a <= d and c <= b]
    if not common:
        return []
    text = f"failedIndexes and completedIndexes overlap at index: {min(common)}"
    return [invalid(_STATUS.child("failedIndexes"), job.get("failedIndexes"), text)]


def _intervals(text: str) -> list[tuple[int, int]]:
    """Those that can be read."""
    parts = (part.split("-") for part in text.split(",") if part)
    return [(int(ends[0]), int(ends[-1])) for ends in parts if all(end.isdigit() for end in ends)]


def _ready(job: _Job) -> list[FieldError]:
    ready = job.get("ready") or 0
    if ready <= (job.get("active") or 0):
        return []
    return [invalid(_STATUS.child("ready"), ready, "cannot set more ready pods than active")]


_CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[[_Job], list[FieldError]]], ...]] = (
    (("Complete", "Failed"), _never_both("Complete", "Failed")),
    (("Complete", "FailureTarget"), _never_both("Complete", "FailureTarget")),
    (("Complete", "completionTime"), _completion_time),
    (("startTime", "completionTime"), _times_in_order),
    (("Failed", "failedIndexes"), _needs("Failed", "FailureTarget")),
    (("Complete", "SuccessCriteriaMet"), _needs("Complete", "SuccessCriteriaMet")),
    (("finished", "active"), _nothing_left("active")),
    (("finished", "startTime"), _start_time),
    (("finished", "uncountedTerminatedPods"), _all_counted),
    (("completedIndexes",), _completed_indexes),
    (("failedIndexes",), _failed_indexes),
    (("failedIndexes", "completedIndexes"), _no_overlap),
    (("finished", "terminating"), _nothing_left("terminating")),
    (("ready", "active"), _ready),
)
"""(what is watched, the rule)"""


def _conditions(job: _Job) -> list[FieldError]:
    """Always asked."""
    found = _never_both("SuccessCriteriaMet", "Failed")(job)
    found += _never_both("SuccessCriteriaMet", "FailureTarget")(job)
    unmet = "Complete" in job.true and "SuccessCriteriaMet" not in job.true
    if job.spec.get("successPolicy") is not None and unmet:
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        found.append(invalid(_CONDITIONS, OMITTED, text))
    return found


def _history(job: _Job, before: _Job) -> list[FieldError]:
    """What is counted stays counted, what is final stays final."""
    found: list[FieldError] = []
    elastic = job.indexed and job.spec.get("completions") == job.spec.get("parallelism")
    for field in ("failed",) if elastic else ("failed", "succeeded"):
        value = job.get(field) or 0
        if value < (before.get(field) or 0):
            found.append(invalid(_STATUS.child(field), value, f"cannot decrease the {field} counter"))
    for kind in ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet"):
        if kind in before.true and kind not in job.true:
            terminal = "" if kind == "SuccessCriteriaMet" else "terminal "
            found.append(invalid(_CONDITIONS, OMITTED, f"cannot disable the {terminal}{kind}=True condition"))
    if "Complete" in before.true and "SuccessCriteriaMet" in job.true - before.true:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        found.append(invalid(_CONDITIONS, OMITTED, text))
    return found + _times(job, before)


def _times(job: _Job, before: _Job) -> list[FieldError]:
    found: list[FieldError] = []
    end, known = job.get("completionTime"), before.get("completionTime")
    if end is not None and known is not None and end != known:
        found.append(invalid(_STATUS.child("completionTime"), end, "completionTime cannot be mutated"))
    known = before.get("startTime")
    if known is not None and job.get("startTime") != known and not job.spec.get("suspend"):
        text = "startTime cannot be removed for unsuspended job"
        found.append(required(_STATUS.child("startTime"), text))
    return found
