"""(P) From client-side to server-side apply and back: the annotation in which kubectl keeps what it applied last.

Only for the manager `kubectl`; whoever wants none of this names another. Called by `manager`.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import codec
from apiserver.patch.apply.atoms import Atom
from apiserver.patch.apply.compare import compare
from apiserver.patch.apply.elements import compact
from apiserver.patch.apply.fieldset import FieldSet, difference
from apiserver.patch.apply.typed import Untypable, field_set, validate

MANAGER: Final = "kubectl"
ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MOST_BYTES: Final = 256 * 1024


def unchanged(live: dict[str, Any], version: str, atom: Atom) -> FieldSet | None:
    """The fields that a client-side apply set and that are still so; None where there was none."""
    text = _annotations(live).get(ANNOTATION)
    if not text:
        return None
    try:
        last = codec.decode(text)
    except codec.DecodeError:
        return None
    if not isinstance(last, dict) or last.get("apiVersion") != version or validate(last, atom):
        return None
    try:
        changes = compare(last, live, atom)
    except Untypable:
        return None
    fields = field_set(last, atom)
    for changed in (changes.modified, changes.added, changes.removed):
        fields = difference(fields, changed)
    return fields


def kept_up(obj: dict[str, Any], config: dict[str, Any], name: str) -> dict[str, Any]:
    """If the object has the annotation, it says from now on what was applied just now."""
    annotations = _annotations(obj)
    if name != MANAGER or not annotations.get(ANNOTATION):
        return obj
    annotations = {**annotations, ANNOTATION: _text(config)}
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MOST_BYTES:
        del annotations[ANNOTATION]
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _text(config: dict[str, Any]) -> str:
    metadata = dict(config.get("metadata") or {})
    if isinstance(metadata.get("annotations"), dict):
        kept = {key: value for key, value in metadata["annotations"].items() if key != ANNOTATION}
        metadata["annotations"] = kept
    return compact(_sorted({**config, "metadata": metadata})) + "\n"


def _sorted(value: Any) -> Any:
    """Keys in the order of Go's encoder."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _annotations(obj: dict[str, Any]) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}
