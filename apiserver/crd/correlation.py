"""(P) Which part of the old object a part of the new one is to be compared with.

Fields go with fields of the same name, items of a list of type ``map`` with those of the same keys; items of
other lists have no counterpart. Source: apiserver ``pkg/cel/common/equality.go``.
"""

from __future__ import annotations

from typing import Any

from apiserver.crd.structural import UNSET, Structural


def child_of(old: Any, name: str, absent: Any) -> Any:
    return old.get(name, absent) if isinstance(old, dict) else absent


def item_of(schema: Structural, item: Any, old: Any, absent: Any) -> Any:
    """The old item with the keys of ``item``."""
    if schema.list_type != "map" or not isinstance(old, list) or not isinstance(item, dict):
        return absent
    wanted = keys_of(schema, item)
    for candidate in old:
        if isinstance(candidate, dict) and keys_of(schema, candidate) == wanted:
            return candidate
    return absent


def keys_of(schema: Structural, item: dict[str, Any]) -> dict[str, Any]:
    """The values of the keys that name an item of a list of type ``map``, with the defaults of absent ones."""
    result = {}
    properties = schema.items.properties if schema.items is not None else {}
    for key in schema.map_keys:
        default = properties[key].default if key in properties else UNSET
        if key in item:
            result[key] = item[key]
        elif default is not UNSET:
            result[key] = default
    return result
