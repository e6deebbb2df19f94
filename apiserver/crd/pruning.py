"""(P) Drop what a schema does not name. Called with every body, and with what is read from the store.

``x-kubernetes-preserve-unknown-fields`` keeps everything at its level; below a named property the rules hold
again. The three fields of every object (kind, apiVersion, metadata) are known at the root and in embedded
resources. Source: apiextensions ``pkg/apiserver/schema/pruning/algorithm.go``.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.crd.structural import Structural

META_FIELDS: Final = frozenset({"kind", "apiVersion", "metadata"})


def prune(obj: dict[str, Any], schema: Structural) -> list[str]:
    """Prunes a whole resource in place; the paths of what was dropped, sorted."""
    found: list[str] = []
    _object(obj, schema, "", found, resource=True)
    return sorted(found)


def prune_value(value: Any, schema: Structural) -> list[str]:
    """The same for a value inside a resource, such as a default."""
    found: list[str] = []
    _value(value, schema, "", found)
    return sorted(found)


def _value(value: Any, schema: Structural | None, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        _object(value, schema, path, found, resource=schema is not None and schema.embedded)
    elif isinstance(value, list):
        items, keeps = (schema.items, schema.preserve) if schema is not None else (None, False)
        if items is None and keeps:
            return
        for at, item in enumerate(value):
            _value(item, items, f"{path}[{at}]", found)


def _object(
    value: dict[str, Any], schema: Structural | None, path: str, found: list[str], *, resource: bool
) -> None:
    for name in list(value):
        if resource and name in META_FIELDS:
            continue
        where = f"{path}.{name}" if path else name
        known = schema.properties.get(name) if schema is not None else None
        if known is not None:
            _value(value[name], known, where, found)
        elif schema is not None and schema.additional:
            inner = schema.additional if isinstance(schema.additional, Structural) else None
            _value(value[name], inner, where, found)
        elif schema is None or not schema.preserve:
            found.append(where)
            del value[name]
