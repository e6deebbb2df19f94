"""What is different between two revisions of an object, for people (P)."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api.changes import MISSING, changes
from apiserver.api.meta import Object

_BOOKKEEPING: Final = ("/metadata/managedFields", "/metadata/resourceVersion", "/metadata/generation")


def differences(old: Object | None, new: Object | None) -> list[dict[str, Any]]:
    """``from`` or ``to`` is absent where there was nothing. What only keeps the books is left out."""
    found = []
    for change in changes(old or {}, new or {}):
        if change.path.startswith(_BOOKKEEPING):
            continue
        shown: dict[str, Any] = {"path": change.path}
        if change.old is not MISSING:
            shown["from"] = change.old
        if change.new is not MISSING:
            shown["to"] = change.new
        found.append(shown)
    return found


def fields(old: Object, new: Object) -> list[str]:
    """The paths that people changed: not what is reported (status) and not what keeps the books."""
    return [
        change["path"]
        for change in differences(old, new)
        if not change["path"].startswith("/status") and change["path"] != "/metadata/creationTimestamp"
    ]
