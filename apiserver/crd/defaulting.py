"""(P) Defaults of custom resources: on writes, and on what is read from the store.

A default is set where a field is absent, or null although the schema does not allow null; then it is filled
itself. Other such nulls are dropped. Idempotent. Source: apiextensions ``pkg/apiserver/schema/defaulting``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from apiserver.crd.structural import UNSET, Structural


def set_defaults(value: Any, schema: Structural) -> None:
    """In place."""
    if not schema.has_defaults:
        return
    if isinstance(value, dict):
        _object(value, schema)
    elif isinstance(value, list) and schema.items is not None:
        for at, item in enumerate(value):
            if _replaces(item, schema.items):
                value[at] = deepcopy(schema.items.default)
            set_defaults(value[at], schema.items)


def _object(value: dict[str, Any], schema: Structural) -> None:
    for name, known in schema.properties.items():
        if known.default is not UNSET and (name not in value or _replaces(value[name], known)):
            value[name] = deepcopy(known.default)
    for name, item in value.items():
        inner = schema.properties.get(name, schema.additional)
        if not isinstance(inner, Structural):
            continue
        if _replaces(item, inner):
            value[name] = item = deepcopy(inner.default)
        set_defaults(item, inner)


def _replaces(value: Any, schema: Structural) -> bool:
    return value is None and not schema.nullable and schema.default not in (UNSET, None)


def drop_nulls(value: Any, schema: Structural) -> None:
    """Drop the nulls that the schema neither allows nor replaces, in place."""
    if isinstance(value, dict):
        for name in list(value):
            inner = schema.properties.get(name, schema.additional)
            if not isinstance(inner, Structural):
                continue
            if value[name] is None and not inner.nullable and inner.default is UNSET:
                del value[name]
            else:
                drop_nulls(value[name], inner)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            drop_nulls(item, schema.items)
