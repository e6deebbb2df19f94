"""Durations as Go and etcd's flags write them: "5s", "1h30m", "250ms"."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """Of a duration; "d" for days is ours. Raises `ValueError`."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write it as 30s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
