"""Where two versions of an object differ, as JSON pointers (P).

Asked by admission (what a plugin changed) and by ``components.insight`` (what a revision changed). Elements of a list
are told apart by their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

MISSING: Final = object()


class Change(NamedTuple):
    """``old`` or ``new`` is `MISSING` where there is nothing."""

    path: str
    old: Any
    new: Any


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """As deep as both sides have the same shape: what is only on one side is one change."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from changes(old.get(key, MISSING), new.get(key, MISSING), f"{path}/{_escaped(key)}")
    elif isinstance(old, list) and isinstance(new, list):
        for at in range(max(len(old), len(new))):
            yield from changes(
                old[at] if at < len(old) else MISSING, new[at] if at < len(new) else MISSING, f"{path}/{at}"
            )
    elif type(old) is not type(new) or old != new:
        yield Change(path, old, new)


def paths(old: Any, new: Any, limit: int = 50) -> list[str]:
    """The paths of the first ``limit`` changes."""
    found: list[str] = []
    for change in changes(old, new):
        if len(found) >= limit:
            break
        found.append(change.path)
    return found


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key
