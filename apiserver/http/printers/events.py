"""Events, printed from their stored version, which is the core one. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.http.printers.common import age, meta_of

Object = dict[str, Any]


def event(obj: Object, now: datetime) -> list[Any]:
    name, _ = meta_of(obj)
    series, about = obj.get("series"), obj.get("involvedObject") or {}
    first = age(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = age(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    if series is not None:
        last, count = age(series.get("lastObservedTime"), now), series.get("count") or 0
    kind = about.get("kind", "").lower()
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        _source(obj),
        (obj.get("message") or "").strip(),
        first,
        count,
        name,
    ]


def _source(obj: Object) -> str:
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component
