"""Takes secrets out of what the audit log shows of a body (P), whatever the policy asks for.

Values of Secrets, tokens of TokenRequests and TokenReviews become a word that says so; their keys stay. The original
writes them and leaves it to the policy to ask for no more than metadata. Used by ``event``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "REDACTED"
_VALUES: Final = ("data", "stringData")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_TOKENS: Final = {("serviceaccounts", "token"): "status", ("tokenreviews", ""): "spec"}
"""Where the field `token` is, by resource and subresource."""


def redacted(value: Any, reference: Mapping[str, str] | None) -> Any:
    """``value``: of JSON, not changed. ``reference``: the event's ``objectRef``."""
    about = reference or {}
    if about.get("resource") == "secrets":
        return _secrets(value)
    part = _TOKENS.get((about.get("resource", ""), about.get("subresource", "")))
    if part is None or not isinstance(value, dict) or not isinstance(value.get(part), dict):
        return value
    return {**value, part: _hide(value[part], ("token",))}


def _secrets(value: Any) -> Any:
    """One, a list, a Table, or a patch of one."""
    if isinstance(value, list):
        return [_hide(step, ("value",)) if isinstance(step, dict) else HIDDEN for step in value]
    if not isinstance(value, dict):
        return HIDDEN if value is not None else None
    found = {**value, **{name: _values(value[name]) for name in _VALUES if name in value}}
    if isinstance(value.get("metadata"), dict):
        found["metadata"] = _metadata(value["metadata"])
    for name, inner in (("items", _secrets), ("rows", _row)):
        if isinstance(value.get(name), list):
            found[name] = [inner(one) if isinstance(one, dict) else HIDDEN for one in value[name]]
    return found


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "object": _secrets(row["object"])} if "object" in row else row


def _values(values: Any) -> Any:
    return (
        _hide(values, tuple(values)) if isinstance(values, dict) else HIDDEN if values is not None else None
    )


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    annotations = metadata.get("annotations")
    if not isinstance(annotations, dict):
        return metadata
    return {**metadata, "annotations": _hide(annotations, (_LAST_APPLIED,))}


def _hide(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Null stays: it says that a value goes."""
    return {**values, **{name: HIDDEN for name in names if values.get(name) is not None}}
