"""Autoscalers, printed from their stored version (``formatHPAMetrics``). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apiserver.http.printers.common import NONE, UNKNOWN, UNSET, age, meta_of

Object = dict[str, Any]
_SHOWN: Final = 2
_SOURCES: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def autoscaler(obj: Object, now: datetime) -> list[Any]:
    name, created = meta_of(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    minimum = spec.get("minReplicas")
    return [
        name,
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(created, now),
    ]


def _metrics(specs: list[Object], statuses: list[Object]) -> str:
    """A metric's current value is the one at the same place of the status."""
    shown = [_metric(spec, statuses[at] if at < len(statuses) else {}) for at, spec in enumerate(specs)]
    if len(shown) > _SHOWN:
        return ", ".join(shown[:_SHOWN]) + f" + {len(shown) - _SHOWN} more..."
    return ", ".join(shown) or NONE


def _metric(spec: Object, status: Object) -> str:
    kind = _SOURCES.get(spec.get("type") or "")
    if kind is None:
        return "<unknown type>"
    source = spec.get(kind) or {}
    target, current = source.get("target") or {}, (status.get(kind) or {}).get("current") or {}
    if kind in ("resource", "containerResource"):
        return f"{source.get('name', '')}: {_resource(target, current)}"
    average = target.get("averageValue") is not None
    key = "averageValue" if average or kind == "pods" else "value"
    text = f"{current.get(key, UNKNOWN)}/{target.get(key, '')}"
    return f"{text} (avg)" if average and kind != "pods" else text


def _resource(target: Object, current: Object) -> str:
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    return f"{_percent(current, UNKNOWN)}/{_percent(target, '<auto>')}"


def _percent(metric: Object, absent: str) -> str:
    value = metric.get("averageUtilization")
    return absent if value is None else f"{value}%"
