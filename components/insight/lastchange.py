"""Who changed an object last, and what of it (P): by its revisions and the journals, else by its managed fields."""

from __future__ import annotations

from typing import Any

from apiserver.api.journal import Record
from apiserver.api.meta import Object
from components.insight.diff import fields
from components.insight.revisions import Version, writes

_MOST_FIELDS = 20
_COMPONENTS = (
    "system:kube-",
    "system:node:",
    "system:apiserver",
    "system:serviceaccount:kube-system:",
    "kube-",
)
"""How the names of those begin who carry out what others have asked for."""


def last_change(versions: list[Version], records: list[Record]) -> dict[str, Any] | None:
    """The newest revision that changed more than what is reported, one of a user before one of a component. None if
    there is none among the given ones."""
    if not versions:
        return None
    by_revision = writes(records)
    by_component: dict[str, Any] | None = None
    for older, newer in zip(reversed([None, *versions[:-1]]), reversed(versions), strict=True):
        if newer.obj is None or older is None or older.obj is None:
            changed: list[str] = []
        else:
            changed = fields(older.obj, newer.obj)
            if not changed:
                continue
        found = _of(newer, by_revision.get(newer.revision), changed)
        if found is not None and not found["user"].startswith(_COMPONENTS):
            return found
        by_component = by_component or found
    return by_component


def _of(version: Version, record: Record | None, changed: list[str]) -> dict[str, Any] | None:
    if record is not None:
        verb = str(record.detail.get("verb") or "update")
        return _change(str(record.detail.get("user") or ""), verb, record.time, changed)
    owned = by_owners(version.obj or {})
    return {**owned, "fields": changed[:_MOST_FIELDS] or owned["fields"]} if owned is not None else None


def by_owners(obj: Object) -> dict[str, Any] | None:
    """By the owner of fields that wrote last, but for the status: a name of a program, not of a user."""
    entries = [
        entry
        for entry in (obj.get("metadata") or {}).get("managedFields") or []
        if entry.get("time") and entry.get("subresource") != "status"
    ]
    if not entries:
        return None
    last = max(entries, key=lambda entry: str(entry["time"]))
    verb = "apply" if last.get("operation") == "Apply" else "update"
    return _change(
        str(last.get("manager") or ""), verb, str(last["time"]), _paths(last.get("fieldsV1") or {})
    )


def _change(user: str, verb: str, time: str, changed: list[str]) -> dict[str, Any]:
    return {"user": user, "verb": verb, "time": time, "fields": changed[:_MOST_FIELDS]}


def _paths(owned: Any, path: str = "", depth: int = 2) -> list[str]:
    """The upper levels of a set of fields."""
    found: list[str] = []
    for key, inner in owned.items() if isinstance(owned, dict) else ():
        if not key.startswith("f:"):
            continue
        here = f"{path}/{key[2:]}"
        deeper = _paths(inner, here, depth - 1) if depth > 1 else []
        found += deeper or [here]
    return found
