"""(P) Go's durations, as these files write them and as errors show them."""

from __future__ import annotations

from typing import Final

from apiserver.cel.library.times import parse_duration
from apiserver.cel.syntax import EvaluationError
from apiserver.config_files.reading import ConfigFileError

_NANOSECONDS: Final = 10**9


def seconds(text: str) -> float:
    """Raises ConfigFileError."""
    try:
        return parse_duration(text).nanoseconds / _NANOSECONDS
    except EvaluationError as exc:
        raise ConfigFileError(str(exc)) from exc


def shown(span: float) -> str:
    """``1h0m5s``, ``90ms``."""
    sign, left = ("-" if span < 0 else ""), abs(span)
    if 0 < left < 1:
        return f"{sign}{left * 1000:g}ms"
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{parts}{rest:g}s"
