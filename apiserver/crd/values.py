"""(P) Values against their schema, in the words of the original's OpenAPI validator.

Called by the strategy of custom resources on every write, and for defaults. A value that is what it was
before the update is not checked again (ratcheting): objects that are older than a rule stay writable. Source:
kube-openapi ``pkg/validation/validate`` and apiextensions ``pkg/apiserver/validation``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import patterns
from apiserver.api.field_errors import ErrorType as Kind
from apiserver.api.field_errors import (
    FieldError,
    Path,
    invalid,
    not_supported,
    quote,
    required,
    too_many,
    type_invalid,
)
from apiserver.cel.values import equal
from apiserver.crd import formats
from apiserver.crd.correlation import child_of, item_of
from apiserver.crd.numbers import go_number, is_integer, is_multiple
from apiserver.crd.structural import Schema, Structural

ROOT: Final = Path()
_NOT_GIVEN: Final = object()
"""In place of the old value where there is none to compare with."""


def validate(value: Any, schema: Structural, path: Path = ROOT, old: Any = _NOT_GIVEN) -> list[FieldError]:
    """``old``: the value before an update."""
    if old is not _NOT_GIVEN and equal(value, old):
        return []
    found = _own(value, schema.source, path)
    if isinstance(value, dict):
        found += _fields(value, schema, path, old)
    elif isinstance(value, list) and schema.items is not None:
        for at, item in enumerate(value):
            before = item_of(schema, item, old, _NOT_GIVEN)
            found += validate(item, schema.items, path.index(at), before)
    return found


def _fields(value: dict[str, Any], schema: Structural, path: Path, old: Any) -> list[FieldError]:
    found: list[FieldError] = []
    for name, item in value.items():
        inner = schema.properties.get(name)
        if inner is None and isinstance(schema.additional, Structural):
            inner = schema.additional
        if inner is not None:
            found += validate(item, inner, path.child(name), child_of(old, name, _NOT_GIVEN))
        elif schema.additional is False and not schema.preserve:
            found.append(invalid(path, "", f"{path.child(name)} in body is a forbidden property"))
    return found


def _own(value: Any, schema: Schema, path: Path) -> list[FieldError]:
    """What concerns the value itself and the junctors of its schema, not what is inside it."""
    found = _type(value, schema, path)
    if value is None:
        return found if schema.get("nullable") else found + _enum(value, schema, path)
    found += _junctors(value, schema, path)
    if isinstance(value, str):
        found += _string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found += _number(value, schema, path)
    elif isinstance(value, list):
        found += _array(value, schema, path)
    found += _enum(value, schema, path)
    if isinstance(value, dict):
        found += _object(value, schema, path)
    return found


def _nested(value: Any, schema: Schema, path: Path) -> list[FieldError]:
    """A whole value against a schema inside a junctor, where properties and items may be restricted further."""
    found = _own(value, schema, path)
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, item in value.items():
            if isinstance(properties.get(name), Mapping):
                found += _nested(item, properties[name], path.child(name))
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        for at, item in enumerate(value):
            found += _nested(item, items, path.index(at))
    return found


def type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    return "array" if isinstance(value, list) else "object"


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _type(value: Any, schema: Schema, path: Path) -> list[FieldError]:
    allowed = _types(schema)
    if not allowed or (value is None and schema.get("nullable")):
        return []
    actual = type_name(value)
    if actual in allowed or (actual == "integer" and "number" in allowed):
        return []
    if actual == "number" and "integer" in allowed and is_integer(value):
        return []
    text = f'{path.text or ""} in body must be of type {",".join(allowed)}: "{actual}"'
    return [type_invalid(path, actual, text)]


def _enum(value: Any, schema: Schema, path: Path) -> list[FieldError]:
    allowed = schema.get("enum")
    if not allowed or any(equal(value, choice) for choice in allowed):
        return []
    shown = [choice if isinstance(choice, str) else _json(choice) for choice in allowed]
    return [not_supported(path, value, shown, ordered=True)]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _string(value: str, schema: Schema, path: Path) -> list[FieldError]:
    """The first limit that is broken, and the format."""
    found = _text_limits(value, schema, path)[:1]
    wanted = schema.get("format")
    if wanted and not formats.fits(wanted, value):
        found.append(type_invalid(path, value, f"{path} in body must be of type {wanted}: {quote(value)}"))
    return found


def _text_limits(value: str, schema: Schema, path: Path) -> list[FieldError]:
    found = []
    length, most, least = len(value), schema.get("maxLength"), schema.get("minLength")
    if most is not None and length > most:
        unit = "byte" if most == 1 else "bytes"
        found.append(FieldError(Kind.TOO_LONG, str(path), None, f"may not be more than {most} {unit}"))
    if least is not None and length < least:
        found.append(invalid(path, value, f"{path} in body should be at least {least} chars long"))
    pattern = schema.get("pattern")
    if pattern and not _found(pattern, value):
        found.append(invalid(path, value, f"{path} in body should match '{pattern}'"))
    return found


def _found(pattern: str, value: str) -> bool:
    """A pattern that cannot be read, of a definition stored elsewhere, refuses nothing."""
    try:
        return patterns.matches(pattern, value)
    except patterns.BadPattern:
        return True


_RANGES: Final = {"int32": 2**31, "int64": 2**63}


def _number(value: float, schema: Schema, path: Path) -> list[FieldError]:
    found = []
    limit = _RANGES.get(schema.get("format") or "")
    if limit is not None and not -limit <= value < limit:
        text = f"Checked value must be of type {schema.get('type')} with format {schema['format']} in {path}"
        found.append(invalid(ROOT, "", text))
    factor = schema.get("multipleOf")
    if factor and not is_multiple(value, factor):
        found.append(
            invalid(path, value, f"{path} in body should be a multiple of {go_number(factor, value)}")
        )
    most, least = schema.get("maximum"), schema.get("minimum")
    if most is not None and (value >= most if schema.get("exclusiveMaximum") else value > most):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        found.append(invalid(path, value, f"{path} in body should be {words} {go_number(most, value)}"))
    if least is not None and (value <= least if schema.get("exclusiveMinimum") else value < least):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        found.append(invalid(path, value, f"{path} in body should be {words} {go_number(least, value)}"))
    return found


def _array(value: list[Any], schema: Schema, path: Path) -> list[FieldError]:
    found = []
    most, least = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        found.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        found.append(invalid(path, len(value), f"{path} in body should have at least {least} items"))
    return found


def _object(value: dict[str, Any], schema: Schema, path: Path) -> list[FieldError]:
    found = []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        found.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        found.append(invalid(path, len(value), f"{path} in body should have at least {least} properties"))
    return found + [required(path.child(name)) for name in schema.get("required") or () if name not in value]


def _junctors(value: Any, schema: Schema, path: Path) -> list[FieldError]:
    found = []
    for inner in schema.get("allOf") or ():
        found += _nested(value, inner, path)
    if schema.get("anyOf") and not schema.get("x-kubernetes-int-or-string"):
        found += _any_of(value, schema["anyOf"], path)
    if schema.get("oneOf"):
        found += _one_of(value, schema["oneOf"], path)
    if isinstance(schema.get("not"), Mapping) and not _nested(value, schema["not"], path):
        found.append(invalid(ROOT, "", f'"{path.text}" must not validate the schema (not)'))
    return found


def _any_of(value: Any, choices: list[Schema], path: Path) -> list[FieldError]:
    results = [_nested(value, choice, path) for choice in choices]
    if not all(results):
        return []
    text = f'"{path.text}" must validate at least one schema (anyOf)'
    return [invalid(ROOT, "", text), *min(results, key=len)]


def _one_of(value: Any, choices: list[Schema], path: Path) -> list[FieldError]:
    results = [_nested(value, choice, path) for choice in choices]
    fitting = results.count([])
    if fitting == 1:
        return []
    reason = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
    text = f'"{path.text}" must validate one and only one schema (oneOf). {reason}'
    return [invalid(ROOT, "", text), *([] if fitting else min(results, key=len))]
