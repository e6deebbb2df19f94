"""Rules for Events: few for core/v1, which is lenient, more for events.k8s.io/v1 (``validation/events.go``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta
from apiserver.api.field_errors import FieldError, Path, go_struct, invalid, required
from apiserver.validation.domains import qualified, subdomain
from apiserver.validation.objectmeta import IMMUTABLE

Object = dict[str, Any]
Options = Mapping[str, Any]

_LIMITS: Final = {"reportingInstance": 128, "action": 128, "reason": 128}
_NOTE_LIMIT: Final = 1024
_UNSET: Final = (("firstTimestamp", None), ("lastTimestamp", None), ("count", 0))
_FIXED: Final = (
    *("involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count"),
    *("reason", "type", "eventTime", "action", "related", "reportingController", "reportingInstance"),
)
_STORED_AS: Final = {"reportingController": "reportingComponent"}


def validate_event(obj: Object, options: Options) -> list[FieldError]:
    found = _of_new_form(obj) if obj.get("eventTime") else _namespace(obj, (meta.namespace(obj),))
    return found + subdomain(meta.namespace(obj), Path("namespace"))


def _namespace(obj: Object, allowed: tuple[str, ...]) -> list[FieldError]:
    """An event lies where the object it is about does; objects without a namespace have theirs in default."""
    path, about = Path("involvedObject").child("namespace"), _about(obj)
    good = about in allowed if about else meta.namespace(obj) in ("", "default")
    return [] if good else [invalid(path, about, "does not match event.namespace")]


def _about(obj: Object) -> str:
    return (obj.get("involvedObject") or {}).get("namespace") or ""


def _of_new_form(obj: Object) -> list[FieldError]:
    found: list[FieldError] = []
    if not _about(obj) and meta.namespace(obj) not in ("default", "kube-system"):
        path = Path("involvedObject").child("namespace")
        found.append(invalid(path, "", "does not match event.namespace"))
    controller, where = obj.get("reportingComponent") or "", Path("reportingController")
    found += ([] if controller else [required(where)]) + qualified(controller, where)
    for field, limit in _LIMITS.items():
        value = obj.get(field) or ""
        if not value:
            found.append(required(Path(field)))
        found += _at_most(value, limit, Path(field))
    return found + _at_most(obj.get("message") or "", _NOTE_LIMIT, Path("message"))


def _at_most(value: str, limit: int, path: Path) -> list[FieldError]:
    if len(value.encode()) <= limit:
        return []
    return [invalid(path, "", f"can have at most {limit} characters")]


def validate_new_event_v1(obj: Object, options: Options) -> list[FieldError]:
    """What events.k8s.io/v1 asks beyond `validate_event`."""
    found = _series(obj)
    if not obj.get("eventTime"):
        found.append(required(Path("eventTime")))
    kind = obj.get("type") or ""
    if kind not in ("Normal", "Warning"):
        found.append(invalid(Path("type"), "", f"has invalid value: {kind}"))
    for field, absent in _UNSET:
        if (obj.get(field) or absent) != absent:
            found.append(invalid(Path(field), "", "needs to be unset"))
    source = obj.get("source") or {}
    if source.get("component") or source.get("host"):
        found.append(invalid(Path("source"), "", "needs to be unset"))
    return found


def validate_event_update_v1(new: Object, old: Object, options: Options) -> list[FieldError]:
    """Only the series goes on."""
    found = _series(new) if new.get("series") != old.get("series") else []
    for field in _FIXED:
        stored = _STORED_AS.get(field, field)
        mine, theirs = new.get(stored) or None, old.get(stored) or None
        if mine != theirs:
            found.append(invalid(Path(field), go_struct(new.get(stored)), IMMUTABLE))
    return found


def _series(obj: Object) -> list[FieldError]:
    series = obj.get("series")
    if series is None:
        return []
    found: list[FieldError] = []
    if (series.get("count") or 0) < 2:
        found.append(invalid(Path("series").child("count"), "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        found.append(required(Path("series").child("lastObservedTime")))
    return found
