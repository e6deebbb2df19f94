"""What a test may wait for (P), and how it is told that this did not come.

A condition is a function of the object, or a word: ``exists``, ``deleted``, the type of one of its conditions
(``Available``), or a type with a status (``Ready=False``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import yaml

from apiserver.api.meta import Object

Condition = str | Callable[[Object], Any]

_MOST_LINES = 60


class NotReached(AssertionError):
    """The condition did not come in time; the text shows the last state and the events."""


class Check:
    """Whether a state of the object (None: there is none) fulfils a condition; remembers why not."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self.failure = ""

    def __call__(self, obj: Object | None) -> bool:
        condition = self._condition
        if condition == "deleted":
            return obj is None
        if obj is None:
            return False
        if not isinstance(condition, str):
            return self._holds(condition, obj)
        return condition == "exists" or _has(obj, *_split(condition))

    def _holds(self, condition: Callable[[Object], Any], obj: Object) -> bool:
        """Parts of an object that are not there yet are no mistake of the condition's."""
        try:
            self.failure = ""
            return bool(condition(obj))
        except (KeyError, IndexError, TypeError, AttributeError, AssertionError) as error:
            self.failure = f"{type(error).__name__}: {error}"
            return False

    def __str__(self) -> str:
        condition = self._condition
        return condition if isinstance(condition, str) else getattr(condition, "__name__", repr(condition))


def _split(word: str) -> tuple[str, str]:
    kind, _, status = word.partition("=")
    return kind, status or "True"


def _has(obj: Object, kind: str, status: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any((one.get("type"), one.get("status")) == (kind, status) for one in conditions)


def explain(
    what: str, check: Check, seconds: float, last: Object | None, events: Sequence[Object], trouble: str
) -> str:
    """The text of `NotReached`. ``trouble``: why the API server could not be asked, if so."""
    parts = [f"{what}: not within {seconds:g} s: {check}"]
    if check.failure:
        parts.append(f"the condition failed with {check.failure}")
    if trouble:
        parts.append(f"the last request failed: {trouble}")
    parts.append("there is no such object" if last is None else f"it was last:\n{_shown(last)}")
    lines = [_line(event) for event in events]
    parts.append("events:\n" + "\n".join(f"  {line}" for line in lines) if lines else "no events")
    return "\n".join(parts)


def _shown(obj: Object) -> str:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    lines = yaml.safe_dump({**obj, "metadata": metadata}, sort_keys=False).splitlines()
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES // 2], "...", *lines[-_MOST_LINES // 2 :]]
    return "\n".join(f"  {line}" for line in lines)


def _line(event: Object) -> str:
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" (x{count})" if count > 1 else ""
    return f"{event.get('type', '')} {event.get('reason', '')}{times}: {event.get('message', '')}".strip()
