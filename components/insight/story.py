"""The story of an object and its family, in order: from the request to the process (P).

Fed by `endpoints` with the records of all processes and the events of the family. What one record tells of several
moments becomes several entries: a request its entry in the log, its revision and the telling of the watchers; the
start of a container its process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from apiserver.api import meta
from apiserver.api.journal import Record, timestamp
from apiserver.api.meta import Object
from components.insight.situation import event_time

Entry = dict[str, Any]
"""A record as plain values, and its ``step``."""
_STEPS: Final = {
    "apiserver": "request",
    "controller": "decision",
    "scheduler": "schedule",
    "kubelet": "kubelet",
}
_ORDER: Final = (
    *("request", "entry", "revision", "watch", "decision", "schedule"),
    *("kubelet", "process", "event"),
)
_RANK: Final = {step: at for at, step in enumerate(_ORDER)}


def entries(records: Iterable[Record], events: Iterable[Object]) -> list[Entry]:
    """In the order of their times; where these are the same, causes go before effects."""
    told = list(records)
    reactions = _reactions(told)
    found = [entry for record in told for entry in _of_record(record, reactions)]
    found += [_of_event(event) for event in events]
    return sorted(found, key=lambda entry: (entry["time"], _RANK[entry["step"]]))


Reactions = Mapping[tuple[str, str, str], list[str]]
"""By resource, namespace and name: when components began to work on that object, the earliest first."""


def _reactions(records: Iterable[Record]) -> Reactions:
    found: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        if record.source != "apiserver":
            found.setdefault(_place(record), []).append(record.time)
    return {place: sorted(times) for place, times in found.items()}


def _place(record: Record) -> tuple[str, str, str]:
    return record.object.resource, record.object.namespace, record.object.name


def _of_record(record: Record, reactions: Reactions) -> list[Entry]:
    told = _entry(record, _STEPS.get(record.source, "event"), record.time, record.summary)
    if record.source == "apiserver" and record.revision is not None:
        return [told, *_of_write(record, reactions)]
    detail = record.detail
    if record.source == "kubelet" and detail.get("step") in ("start", "restart") and detail.get("pid"):
        text = f"process {detail['pid']} of container {detail.get('container')} runs"
        return [told, _entry(record, "process", record.time, text)]
    return [told]


def _of_write(record: Record, reactions: Reactions) -> list[Entry]:
    detail = record.detail
    at = _stored_at(record, reactions)
    found = []
    if detail.get("index") is not None:
        text = f"entry {detail['index']} of term {detail.get('term')}, proposed by {detail.get('proposed')}"
        found.append(_entry(record, "entry", at, text))
    what = f"{record.object.resource}/{record.object.name}"
    found.append(_entry(record, "revision", at, f"{what} is at revision {record.revision}"))
    text = f"all who watch {record.object.resource} are told of revision {record.revision}"
    found.append(_entry(record, "watch", at, text))
    return found


def _stored_at(record: Record, reactions: Reactions) -> str:
    """The server that answered notes a write when its own task goes on. Who watches another master may have begun to
    work on it by then, so it was stored no later than that."""
    noted = later(record.time, float(record.detail.get("storedMs") or 0.0))
    times = reactions.get(_place(record), ())
    return next((time for time in times if record.time < time < noted), noted)


def _entry(record: Record, step: str, time: str, summary: str) -> Entry:
    told: Entry = msgspec.to_builtins(record)
    told |= {"step": step, "time": time, "summary": summary}
    if step in ("entry", "revision", "watch", "process"):
        told["detail"] = {name: record.detail.get(name) for name in _KEPT[step]}
    return told


_KEPT: Final = {
    "entry": ("index", "term", "proposed", "auditID"),
    "revision": ("previousRevision", "auditID"),
    "watch": ("auditID",),
    "process": ("container", "pid"),
}


def later(time: str, milliseconds: float) -> str:
    moment = datetime.fromisoformat(time) + timedelta(milliseconds=milliseconds)
    return timestamp(moment.astimezone(UTC))


def _of_event(event: Object) -> Entry:
    about = event.get("involvedObject") or event.get("regarding") or {}
    component = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
    return {
        "time": exact_time(event),
        "source": "event",
        "instance": (event.get("source") or {}).get("host") or "",
        "component": component,
        "verb": "event",
        "object": {
            "resource": "",
            "group": str(about.get("apiVersion") or "").rpartition("/")[0],
            "kind": about.get("kind") or "",
            "namespace": about.get("namespace") or "",
            "name": about.get("name") or "",
            "uid": about.get("uid") or "",
        },
        "revision": None,
        "summary": f"{event.get('reason')}: {event.get('message') or event.get('note') or ''}",
        "detail": {
            "type": event.get("type"),
            "reason": event.get("reason"),
            "count": event.get("count") or 1,
        },
        "step": "event",
    }


def exact_time(event: Object) -> str:
    """The name of an event that happened once ends with its nanoseconds; its times have whole seconds only, and stand
    for the end of their second."""
    told = event_time(event)
    try:
        moment = datetime.fromisoformat(told).astimezone(UTC)
        _, _, suffix = meta.name(event).rpartition(".")
        exact = datetime.fromtimestamp(int(suffix, 16) / 1e9, UTC)
    except (ValueError, OverflowError):
        return told
    if abs(exact - moment) < timedelta(seconds=1.5):
        return timestamp(exact)
    return timestamp(moment if moment.microsecond else moment + timedelta(microseconds=999_999))
