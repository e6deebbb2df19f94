"""Status conditions, as lists of ``{"type", "status", "reason", "message", "lastTransitionTime"}``."""

from __future__ import annotations

from typing import Any

Condition = dict[str, Any]


def get_condition(obj: dict[str, Any], kind: str) -> Condition | None:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return None


def has_condition(obj: dict[str, Any], kind: str, status: str = "True") -> bool:
    condition = get_condition(obj, kind)
    return condition is not None and condition.get("status") == status


def set_condition(conditions: list[Condition], new: Condition, now: str) -> bool:
    """Put ``new`` in place of the condition of its type; True if anything changed.

    ``lastTransitionTime`` moves to ``now`` only when the status changes, unless ``new`` brings its own.
    """
    for at, old in enumerate(conditions):
        if old.get("type") != new["type"]:
            continue
        same = old.get("status") == new.get("status")
        moved = old.get("lastTransitionTime", now) if same else now
        merged = {**old, **{"lastTransitionTime": moved}, **new}
        if merged == old:
            return False
        conditions[at] = merged
        return True
    conditions.append({"lastTransitionTime": now, **new})
    return True


def remove_condition(conditions: list[Condition], kind: str) -> bool:
    kept = [condition for condition in conditions if condition.get("type") != kind]
    changed = len(kept) != len(conditions)
    conditions[:] = kept
    return changed
