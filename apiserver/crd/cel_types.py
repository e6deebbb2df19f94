"""(P) Schemas as CEL types, and values in the form that expressions see.

Names that are no identifiers are escaped (``foo-bar`` is ``foo__dash__bar``); what a schema does not name
cannot be used. Strings of some formats are times, durations or bytes. Source: apiserver
``pkg/cel/common/schemas.go`` and ``values.go``.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from apiserver.cel.lexer import RESERVED
from apiserver.cel.library.times import parse_duration, parse_timestamp
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    object_of,
)
from apiserver.crd.structural import Structural

_SCALARS: Final = {"boolean": BOOL, "integer": INT, "number": DOUBLE, "string": STRING}
_FORMATS: Final = {"byte": BYTES, "date": TIMESTAMP, "date-time": TIMESTAMP, "duration": DURATION}
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_IDENTIFIER: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_KEYWORDS: Final = RESERVED | {"true", "false", "null", "in"}
_META: Final = object_of("metadata", {"name": ("name", STRING), "generateName": ("generateName", STRING)})


def escaped(name: str) -> str | None:
    """The name in expressions, None if it cannot be written there."""
    if name in _KEYWORDS:
        return f"__{name}__"
    for text, escape in _ESCAPES:
        name = name.replace(text, escape)
    return name if _IDENTIFIER.fullmatch(name) else None


def cel_type(schema: Structural, name: str = "object", *, resource: bool = False) -> Type | None:
    """None for what expressions cannot use. ``resource``: has kind, apiVersion and metadata."""
    if schema.int_or_string:
        return DYN
    if schema.type == "array":
        item = cel_type(schema.items, f"{name}.@items") if schema.items is not None else None
        return list_of(item) if item is not None else None
    if schema.type == "object":
        return _object(schema, name, resource or schema.embedded)
    if schema.type == "string":
        return _FORMATS.get(schema.source.get("format") or "", STRING)
    return _SCALARS.get(schema.type)


def _object(schema: Structural, name: str, resource: bool) -> Type | None:
    if isinstance(schema.additional, Structural):
        value = cel_type(schema.additional, f"{name}.@values")
        return map_of(STRING, value) if value is not None else None
    fields: dict[str, tuple[str, Type]] = {}
    for key, child in schema.properties.items():
        kind, shown = cel_type(child, f"{name}.{key}"), escaped(key)
        if kind is not None and shown is not None:
            fields[shown] = (key, kind)
    if resource:
        fields |= {
            "kind": ("kind", STRING),
            "apiVersion": ("apiVersion", STRING),
            "metadata": ("metadata", _META),
        }
    return object_of(name, fields)


def converts(schema: Structural) -> bool:
    """Whether expressions see values of the schema in another form than JSON's."""
    if schema.type == "number" or (schema.type == "string" and schema.source.get("format") in _FORMATS):
        return True
    return any(converts(child) for child in schema.children())


def cel_value(value: Any, schema: Structural) -> Any:
    """A copy in the form that expressions see. What does not fit its format stays a string."""
    if isinstance(value, dict):
        return {
            name: _child(item, schema.properties.get(name, schema.additional)) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_child(item, schema.items) for item in value]
    if isinstance(value, int) and schema.type == "number" and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and schema.type == "string":
        return _formatted(value, schema.source.get("format") or "")
    return value


def _child(value: Any, schema: Structural | bool | None) -> Any:
    return cel_value(value, schema) if isinstance(schema, Structural) else value


def _formatted(text: str, form: str) -> Any:
    try:
        match form:
            case "byte":
                return base64.b64decode(text, validate=True)
            case "date":
                return parse_timestamp(f"{text}T00:00:00Z")
            case "date-time":
                return parse_timestamp(text)
            case "duration":
                return parse_duration(text)
    except (EvaluationError, binascii.Error):
        return text
    return text
