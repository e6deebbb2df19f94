"""(P) Timestamps and durations."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from apiserver.cel.library.function import Function, function
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Duration

_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})"
)
_OFFSET: Final = re.compile(r"([+-]?)(\d{2}):(\d{2})")
_MAX: Final = 2**63


def parse_duration(text: str) -> Duration:
    """``time.ParseDuration``. Raises EvaluationError."""
    body = text.lstrip("+-") if text[:1] in ("+", "-") else text
    sign = -1 if text.startswith("-") else 1
    if body == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None:
            break
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = part.end()
    if not body or at < len(body) or total >= _MAX:
        raise EvaluationError(f'time: invalid duration "{text}"')
    return Duration(sign * total)


def duration_text(span: Duration) -> str:
    """In seconds, as the conversion to a string says it."""
    seconds, rest = divmod(abs(span.nanoseconds), 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if span.nanoseconds < 0 else ''}{seconds}{fraction}s"


def parse_timestamp(text: str) -> datetime:
    """RFC 3339; digits beyond microseconds are lost. Raises EvaluationError."""
    found = _RFC3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        fraction = (found[3] or "0").ljust(6, "0")[:6]
        zone = "+00:00" if found[4] in "Zz" else found[4]
        return datetime.fromisoformat(f"{found[1]}T{found[2]}.{fraction}{zone}")
    except ValueError:
        layout = "2006-01-02T15:04:05Z07:00"
        message = f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"'
        raise EvaluationError(message) from None


def timestamp_text(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _shifted(moment: datetime, nanoseconds: int) -> datetime:
    try:
        return moment + timedelta(microseconds=nanoseconds / 1000)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


def _between(left: datetime, right: datetime) -> Duration:
    span = left - right
    return Duration((span.days * 86400 + span.seconds) * 10**9 + span.microseconds * 1000)


def _sum(left: Duration, right: Duration) -> Duration:
    total = left.nanoseconds + right.nanoseconds
    if not -_MAX <= total < _MAX:
        raise EvaluationError("duration overflow")
    return Duration(total)


def _in_zone(moment: datetime, zone: str) -> datetime:
    offset = _OFFSET.fullmatch(zone)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return moment.astimezone(timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)))
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (ValueError, OSError, LookupError):
        raise EvaluationError(f"unknown time zone {zone}") from None


_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "getFullYear": lambda t: t.year,
    "getMonth": lambda t: t.month - 1,
    "getDate": lambda t: t.day,
    "getDayOfMonth": lambda t: t.day - 1,
    "getDayOfWeek": lambda t: (t.weekday() + 1) % 7,
    "getDayOfYear": lambda t: t.timetuple().tm_yday - 1,
    "getHours": lambda t: t.hour,
    "getMinutes": lambda t: t.minute,
    "getSeconds": lambda t: t.second,
    "getMilliseconds": lambda t: t.microsecond // 1000,
}
_SPANS: Final = {"getHours": 3600 * 10**9, "getMinutes": 60 * 10**9, "getSeconds": 10**9}


def _part(pick: Callable[[datetime], int]) -> Callable[..., int]:
    def run(moment: datetime, zone: str = "UTC") -> int:
        return pick(moment.astimezone(UTC) if zone == "UTC" else _in_zone(moment, zone))

    return run


def _count(unit: int) -> Callable[[Duration], int]:
    return lambda span: int(span.nanoseconds / unit)


def _milliseconds(span: Duration) -> int:
    return abs(span.nanoseconds) // 10**6 % 1000 * (-1 if span.nanoseconds < 0 else 1)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("_+_(timestamp, duration) -> timestamp", lambda t, d: _shifted(t, d.nanoseconds)),
    function("_+_(duration, timestamp) -> timestamp", lambda d, t: _shifted(t, d.nanoseconds)),
    function("_+_(duration, duration) -> duration", _sum),
    function("_-_(timestamp, timestamp) -> duration", _between),
    function("_-_(timestamp, duration) -> timestamp", lambda t, d: _shifted(t, -d.nanoseconds)),
    function("_-_(duration, duration) -> duration", lambda a, b: _sum(a, Duration(-b.nanoseconds))),
    function("-_(duration) -> duration", lambda span: Duration(-span.nanoseconds)),
    *(function(f"timestamp.{name}() -> int", _part(pick)) for name, pick in _PARTS.items()),
    *(function(f"timestamp.{name}(string) -> int", _part(pick)) for name, pick in _PARTS.items()),
    *(function(f"duration.{name}() -> int", _count(unit)) for name, unit in _SPANS.items()),
    function("duration.getMilliseconds() -> int", _milliseconds),
)
