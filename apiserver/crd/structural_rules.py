"""(P) What makes a schema structural: every field has a type, and junctors only restrict.

Called when a definition is written, before the rules of :mod:`.schema_rules`. Errors come sorted by their
texts, as in the original. Source: apiextensions ``pkg/apiserver/schema/validation.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from apiserver.api import patterns
from apiserver.api.field_errors import FieldError, Path, aggregate, forbidden, invalid, required
from apiserver.crd.structural import Schema

_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_OBJECT: Final = "must be object if x-kubernetes-embedded-resource is true"
_IMPLICIT: Final = (
    "must not specify anything other than name and generateName, but metadata is implicitly specified"
)


class Level(Enum):
    """Where a schema stands; the values are what is missing there without a type."""

    ROOT = "must not be empty at the root"
    ITEM = "must not be empty for specified array items"
    FIELD = "must not be empty for specified object fields"


class Junctor(Enum):
    NONE = auto()
    ANY_OF_ALLOWED = auto()
    """``anyOf`` that says integer or string, beside x-kubernetes-int-or-string."""


def validate_structural(schema: Schema, path: Path) -> list[FieldError]:
    found = _invariants(schema, Level.ROOT, path) + _completeness(schema, schema, path)
    return sorted(found, key=FieldError.message)


def structural_violations(spec: Mapping[str, Any]) -> str:
    """All that is wrong with the schemas of a definition, empty if nothing."""
    found = []
    for at, version in enumerate(spec.get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema:
            where = Path("spec").child("versions").index(at).child("schema", "openAPIV3Schema")
            found += validate_structural(schema, where)
    return aggregate(found) if found else ""


def _flag(schema: Schema, name: str) -> bool:
    return schema.get(f"x-kubernetes-{name}") is True


def _invariants(schema: Schema, level: Level, path: Path) -> list[FieldError]:
    kind = schema.get("type") or ""
    items, additional = schema.get("items"), schema.get("additionalProperties")
    found: list[FieldError] = []
    if kind == "array" and items is None:
        found.append(required(path.child("items"), "must be specified"))
    if isinstance(items, Mapping):
        found += _invariants(items, Level.ITEM, path.child("items"))
    for name, child in (schema.get("properties") or {}).items():
        found += _invariants(child, Level.FIELD, path.child("properties").key(name))
    if additional is not None:
        if level is Level.ROOT:
            found.append(forbidden(path.child("additionalProperties"), "must not be used at the root"))
        if isinstance(additional, Mapping):
            found += _invariants(additional, Level.FIELD, path.child("additionalProperties"))
    found += _extensions(schema, path)
    found += _junctors(schema, level, path, *_int_or_string_patterns(schema))
    found += _type(schema, kind, level, path)
    return found + _resource_fields(schema, level, path)


def _extensions(schema: Schema, path: Path) -> list[FieldError]:
    if not _flag(schema, "int-or-string"):
        return []
    text = "must be false if x-kubernetes-int-or-string is true"
    names = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
    return [invalid(path.child(name), True, text) for name in names if schema.get(name) is True]


def _type(schema: Schema, kind: str, level: Level, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    where = path.child("type")
    embedded = _flag(schema, "embedded-resource")
    if embedded and kind != "object":
        found.append(invalid(where, kind, _OBJECT) if kind else required(where, _OBJECT))
    elif not kind and not _flag(schema, "int-or-string") and not _flag(schema, "preserve-unknown-fields"):
        found.append(required(where, level.value))
    if embedded and schema.get("additionalProperties") is not None:
        text = "must not be used if x-kubernetes-embedded-resource is set"
        found.append(forbidden(path.child("additionalProperties"), text))
    if level is Level.ROOT and kind and kind != "object":
        found.append(invalid(where, kind, "must be object at the root"))
    return found


def _resource_fields(schema: Schema, level: Level, path: Path) -> list[FieldError]:
    """kind, apiVersion and metadata of the root and of embedded resources."""
    found: list[FieldError] = []
    properties: Mapping[str, Any] = schema.get("properties") or {}
    embedded = _flag(schema, "embedded-resource")
    checked = level is Level.ROOT or embedded
    for name in ("kind", "apiVersion"):
        if checked and name in properties and properties[name].get("type") != "string":
            where = path.child("properties").key(name).child("type")
            found.append(invalid(where, properties[name].get("type") or "", "must be string"))
    if "metadata" in properties:
        found += _metadata(properties["metadata"], checked, level, path.child("properties").key("metadata"))
    if embedded and not _flag(schema, "preserve-unknown-fields") and not properties:
        text = (
            "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields"
        )
        found.append(required(path.child("properties"), text))
    return found


def _metadata(schema: Schema, checked: bool, level: Level, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if checked and schema.get("type") != "object":
        found.append(invalid(path.child("type"), schema.get("type") or "", "must be object"))
    if level is not Level.ROOT:
        return found
    ignored = {"type", "default", "title"} if not schema.get("title") else {"type", "default"}
    said = {key for key, value in schema.items() if value not in (None, False, "", {}, [])} - ignored
    if set(schema.get("properties") or ()) <= {"name", "generateName"}:
        said.discard("properties")
    if said:
        found.append(forbidden(path, _IMPLICIT))
    return found


def _int_or_string_patterns(schema: Schema) -> tuple[Junctor, Junctor]:
    """Whether ``anyOf``, or that of the first ``allOf``, is the one that int-or-string may have beside it."""
    first = (schema.get("allOf") or [{}])[0]
    return tuple(  # type: ignore[return-value]
        Junctor.ANY_OF_ALLOWED if place.get("anyOf") == _INT_OR_STRING else Junctor.NONE
        for place in (schema, first)
    )


def _junctors(
    schema: Schema, level: Level, path: Path, own: Junctor = Junctor.NONE, first: Junctor = Junctor.NONE
) -> list[FieldError]:
    found: list[FieldError] = []
    if own is Junctor.NONE:
        for at, inner in enumerate(schema.get("anyOf") or ()):
            found += _nested(inner, level, path.child("anyOf").index(at))
    for at, inner in enumerate(schema.get("allOf") or ()):
        found += _nested(inner, level, path.child("allOf").index(at), first if at == 0 else Junctor.NONE)
    for at, inner in enumerate(schema.get("oneOf") or ()):
        found += _nested(inner, level, path.child("oneOf").index(at))
    if isinstance(schema.get("not"), Mapping):
        found += _nested(schema["not"], level, path.child("not"))
    return found + _pattern(schema, path)


def _pattern(schema: Schema, path: Path) -> list[FieldError]:
    pattern = schema.get("pattern")
    if not pattern:
        return []
    try:
        patterns.compiled(pattern)
    except patterns.BadPattern as exc:
        text = f"must be a valid regular expression, but isn't: error parsing regexp: {exc}"
        return [invalid(path.child("pattern"), pattern, text)]
    return []


_FORBIDDEN: Final = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def _nested(schema: Schema, level: Level, path: Path, any_of: Junctor = Junctor.NONE) -> list[FieldError]:
    """A schema inside a junctor: it may restrict values, and say nothing of their structure."""
    found = _junctors(schema, level, path, any_of)
    if isinstance(schema.get("items"), Mapping):
        found += _nested(schema["items"], level, path.child("items"))
    properties = schema.get("properties") or {}
    for name, inner in properties.items():
        found += _nested(inner, Level.FIELD, path.child("properties").key(name))
    for name, text in _FORBIDDEN:
        value = schema.get(name)
        if value is not None and ((value not in ("", False) and value != []) or name in _ANY_VALUE):
            found.append(forbidden(path.child(name), text))
    if "metadata" in properties:
        text = "must not be specified in a nested context"
        found.append(forbidden(path.child("properties").key("metadata"), text))
    return found


_ANY_VALUE: Final = frozenset({"additionalProperties", "default"})


def _completeness(schema: Schema, outer: Schema | None, path: Path) -> list[FieldError]:
    """Whatever a junctor restricts must be specified outside of it. Source: ``complete.go``."""
    found: list[FieldError] = []
    for name in ("allOf", "anyOf", "oneOf"):
        for at, inner in enumerate(schema.get(name) or ()):
            found += _complete(inner, outer, path, path.child(name).index(at))
    if isinstance(schema.get("not"), Mapping):
        found += _complete(schema["not"], outer, path, path.child("not"))
    for name, child in (schema.get("properties") or {}).items():
        found += _completeness(child, child, path.child("properties").key(name))
    if isinstance(schema.get("items"), Mapping):
        found += _completeness(schema["items"], schema["items"], path.child("items"))
    if isinstance(schema.get("additionalProperties"), Mapping):
        additional = schema["additionalProperties"]
        found += _completeness(additional, additional, path.child("additionalProperties"))
    return found


def _complete(nested: Schema, outer: Schema | None, outer_path: Path, path: Path) -> list[FieldError]:
    """``outer``: the structural schema of the same value, None where it says nothing."""
    if outer is None:
        text = f"because it is defined in {path}"
        return [required(outer_path, text)]
    found: list[FieldError] = []
    for name in ("allOf", "anyOf", "oneOf"):
        for at, inner in enumerate(nested.get(name) or ()):
            found += _complete(inner, outer, outer_path, path.child(name).index(at))
    if isinstance(nested.get("not"), Mapping):
        found += _complete(nested["not"], outer, outer_path, path.child("not"))
    if isinstance(nested.get("items"), Mapping):
        inside = outer.get("items") if isinstance(outer.get("items"), Mapping) else None
        found += _complete(nested["items"], inside, outer_path.child("items"), path.child("items"))
    for name, inner in (nested.get("properties") or {}).items():
        inside = (outer.get("properties") or {}).get(name)
        where = outer_path.child("properties").key(name)
        if inside is None and isinstance(outer.get("additionalProperties"), Mapping):
            inside, where = outer["additionalProperties"], outer_path.child("additionalProperties")
        found += _complete(inner, inside, where, path.child("properties").key(name))
    return found
