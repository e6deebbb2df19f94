"""(P) Schemas as the sizes that values may have: what the estimated cost of a rule is counted with.

Beside `cel_types`, field by field. What has no bound of its own is bounded by the size of a request. Used by
`rule_checks`. Source: apiserver ``pkg/cel/common/schemas.go`` (``SchemaDeclType``) and ``pkg/cel/limits.go``.
"""

from __future__ import annotations

from typing import Final

from apiserver.cel.sizes import Declared
from apiserver.crd.cel_types import escaped
from apiserver.crd.structural import UNSET, Structural

REQUEST_BYTES: Final = 3 * 1024 * 1024
_LONGEST_TEXT: Final = REQUEST_BYTES - 2  # the quotes
_RUNE_BYTES: Final = 4
_SCALARS: Final = {
    "boolean": Declared(least_bytes=4),
    "integer": Declared(least_bytes=1),
    "number": Declared(least_bytes=1),
}
_TIMES: Final = {
    "duration": Declared(32, least_bytes=3),
    "date": Declared(12, least_bytes=12),
    "date-time": Declared(32, least_bytes=21),
}
_KEY: Final = Declared()
_NAME: Final = Declared(_LONGEST_TEXT)
_META: Final = Declared(fields={"name": _NAME, "generateName": _NAME})
_OF_RESOURCES: Final = {"kind": _NAME, "apiVersion": _NAME, "metadata": _META}


def declared(schema: Structural, *, resource: bool = False) -> Declared | None:
    """None for what expressions cannot use. ``resource``: has kind, apiVersion and metadata."""
    if schema.int_or_string:
        return Declared(_text_bound(schema), least_bytes=1)
    if schema.type == "array":
        return _array(schema)
    if schema.type == "object":
        return _object(schema, resource or schema.embedded)
    if schema.type == "string":
        return _string(schema)
    return _SCALARS.get(schema.type)


def most_often(schema: Declared) -> int:
    """How many such values fit into one request."""
    return REQUEST_BYTES // (schema.least_bytes + 1)


def _array(schema: Structural) -> Declared | None:
    items = declared(schema.items) if schema.items is not None else None
    if items is None:
        return None
    fitting = (REQUEST_BYTES - 2) // (items.least_bytes + 1)
    return Declared(_bound(schema, "maxItems", fitting), items=items)


def _object(schema: Structural, resource: bool) -> Declared | None:
    if isinstance(schema.additional, Structural):
        value = declared(schema.additional)
        if value is None:
            return None
        fitting = (REQUEST_BYTES - 2) // (value.least_bytes + 6)  # a key of two letters, colon and comma
        return Declared(_bound(schema, "maxProperties", fitting), items=value, keys=_KEY)
    fields: dict[str, Declared] = {}
    required, least = set(schema.source.get("required") or ()), 2
    properties = {name: (declared(child), child.default) for name, child in schema.properties.items()}
    if resource:
        properties |= {name: (part, UNSET) for name, part in _OF_RESOURCES.items()}
    for name, (part, default) in properties.items():
        shown = escaped(name)
        if part is None:
            continue
        if shown is not None:
            fields[shown] = part
        if name in required and default is UNSET:
            least += len(name) + part.least_bytes + 4
    return Declared(least_bytes=least, fields=fields)


def _string(schema: Structural) -> Declared:
    form = schema.source.get("format") or ""
    if form in _TIMES:
        return _TIMES[form]
    if form == "byte":
        return Declared(_bound(schema, "maxLength", _LONGEST_TEXT))
    values = schema.source.get("enum")
    if values and schema.source.get("maxLength") is None:
        return Declared(max((len(value.encode()) for value in values if isinstance(value, str)), default=0))
    return Declared(_text_bound(schema))


def _text_bound(schema: Structural) -> int:
    """maxLength counts characters, a request bytes."""
    if schema.source.get("maxLength") is None:
        return _LONGEST_TEXT
    return _bound(schema, "maxLength", 0) * _RUNE_BYTES


def _bound(schema: Structural, name: str, otherwise: int) -> int:
    value = schema.source.get(name)
    return otherwise if value is None else max(int(value), 0)
