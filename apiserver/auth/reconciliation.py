"""(P) The default policy kept up to date: what a stored role or binding must become (``autoupdate``).

Rules and subjects that are missing are added, nothing is taken away; who has set the annotation to ``false`` is left
alone. Source: ``component-helpers/auth/rbac/reconciliation``.
"""

from __future__ import annotations

from typing import Final

from apiserver.api import meta
from apiserver.auth.escalation import uncovered
from apiserver.auth.rbac import Object

AUTO_UPDATE: Final = "rbac.authorization.kubernetes.io/autoupdate"


class Replace(Exception):
    """The binding must be deleted and made anew: a roleRef never changes."""


def is_protected(obj: Object) -> bool:
    return meta.annotations(obj).get(AUTO_UPDATE) == "false"


def reconciled_role(expected: Object, existing: Object) -> Object | None:
    """None if it is as it should be."""
    rules = existing.get("rules") or []
    wanted = expected.get("rules") or []
    missing = [] if rules == wanted or expected.get("aggregationRule") else uncovered(rules, wanted)
    new = {**existing, "metadata": _metadata(expected, existing), "rules": [*rules, *missing]}
    if expected.get("aggregationRule") and not existing.get("aggregationRule"):
        new["aggregationRule"] = expected["aggregationRule"]
    return _if_changed(new, {**existing, "rules": rules}, existing)


def reconciled_binding(expected: Object, existing: Object) -> Object | None:
    """None if it is as it should be. Raises Replace."""
    if existing["roleRef"] != expected["roleRef"]:
        raise Replace
    subjects = existing.get("subjects") or []
    missing = [subject for subject in expected.get("subjects") or [] if subject not in subjects]
    new = {**existing, "metadata": _metadata(expected, existing), "subjects": [*subjects, *missing]}
    return _if_changed(new, {**existing, "subjects": subjects}, existing)


def _metadata(expected: Object, existing: Object) -> Object:
    """Labels and annotations that were added or changed stay."""
    merged = dict(existing["metadata"])
    for field in ("labels", "annotations"):
        values = {**(expected["metadata"].get(field) or {}), **(merged.get(field) or {})}
        if values:
            merged[field] = values
    return merged


def _if_changed(new: Object, old: Object, existing: Object) -> Object | None:
    if is_protected(existing) or new == old:
        return None
    return new
