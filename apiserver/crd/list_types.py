"""(P) Lists of type ``set`` and ``map``: no value twice. Source: apiextensions ``pkg/apiserver/schema/listtype``.

A list that was no better before the update is left as it is.
"""

from __future__ import annotations

import json
from typing import Any

from apiserver.api.field_errors import FieldError, Path, duplicate, type_invalid
from apiserver.cel.values import equal
from apiserver.crd.correlation import child_of, item_of, keys_of
from apiserver.crd.structural import Structural

_ABSENT = object()


def validate_lists(value: Any, schema: Structural, path: Path, old: Any = _ABSENT) -> list[FieldError]:
    if not schema.has_lists or (old is not _ABSENT and equal(value, old)):
        return []
    if isinstance(value, dict):
        return _fields(value, schema, path, old)
    if not isinstance(value, list) or schema.items is None:
        return []
    found = _duplicates(value, schema, path)
    for at, item in enumerate(value):
        found += validate_lists(item, schema.items, path.index(at), item_of(schema, item, old, _ABSENT))
    return found


def _fields(value: dict[str, Any], schema: Structural, path: Path, old: Any) -> list[FieldError]:
    found = []
    for name, item in value.items():
        inner = schema.properties.get(name, schema.additional)
        if isinstance(inner, Structural):
            where = path.child(name) if name in schema.properties else path.key(name)
            found += validate_lists(item, inner, where, child_of(old, name, _ABSENT))
    return found


def _duplicates(value: list[Any], schema: Structural, path: Path) -> list[FieldError]:
    if schema.list_type not in ("set", "map"):
        return []
    found, seen = [], set[str]()
    for at, item in enumerate(value):
        if schema.list_type == "map":
            if not isinstance(item, dict):
                text = "must be an object for an array of list-type map"
                found.append(type_invalid(path.index(at), item, text))
                continue
            item = keys_of(schema, item)
        identity = _identity(item)
        if identity in seen:
            found.append(duplicate(path.index(at), item))
        seen.add(identity)
    return found


def _identity(value: Any) -> str:
    """Equal for values that are the same."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
