"""Small texts shared by printers: ages, lists, selectors, container names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from apiserver.api.labels import SelectorError, selector_from_label_selector
from apiserver.api.meta import parse_time

Object = dict[str, Any]
NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


def age(timestamp: str | None, now: datetime) -> str:
    return duration((now - parse_time(timestamp)).total_seconds()) if timestamp else UNKNOWN


def duration(seconds: float) -> str:
    """``duration.HumanDuration``: two units at most, coarser as it grows."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    return _two(years, "y", rest, "d") if years < 8 else f"{years}y"


def _two(major: int, unit: str, minor: int, small: str) -> str:
    return f"{major}{unit}{minor}{small}" if minor else f"{major}{unit}"


def joined(values: Iterable[str] | None) -> str:
    return ",".join(values or ()) or NONE


def pairs(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector(value: Object | None) -> str:
    try:
        return str(selector_from_label_selector(value)) or NONE
    except SelectorError:
        return "<error>"


def containers(pod_spec: Object | None) -> tuple[str, str]:
    """(names, images)"""
    found = (pod_spec or {}).get("containers") or []
    return ",".join(c.get("name", "") for c in found), ",".join(c.get("image", "") for c in found)


def meta_of(obj: Object) -> tuple[str, str | None]:
    metadata = obj.get("metadata") or {}
    return metadata.get("name", ""), metadata.get("creationTimestamp")
