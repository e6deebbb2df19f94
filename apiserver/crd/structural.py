"""(P) The compiled schema of a custom resource: what pruning, defaulting, validation and CEL walk.

Made from an ``openAPIV3Schema`` that the rules in :mod:`.structural_rules` accepted; one that was stored by
another server is read as far as it makes sense, and never raises but for its depth. Source: apiextensions
``pkg/apiserver/schema/structural.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Levels of schemas inside schemas. Every walk is recursive; the deepest published definitions have about 20."""

Schema = Mapping[str, Any]


class _Unset:
    """No default; None is one."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


class SchemaTooDeep(ValueError):
    def __init__(self) -> None:
        super().__init__(f"schemas are nested more than {MAX_DEPTH} levels deep")


@dataclass(slots=True)
class Structural:
    """One schema. ``additional``: the schema of further properties, True: any, None or False: none.

    ``source`` is the schema as written, for what is only checked (formats, limits, enums) and for messages."""

    source: Schema
    type: str = ""
    nullable: bool = False
    default: Any = UNSET
    properties: dict[str, Structural] = field(default_factory=dict)
    additional: Structural | bool | None = None
    items: Structural | None = None
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    rules: tuple[Mapping[str, Any], ...] = ()
    has_defaults: bool = False
    has_rules: bool = False
    has_lists: bool = False

    def children(self) -> Iterator[Structural]:
        yield from self.properties.values()
        if isinstance(self.additional, Structural):
            yield self.additional
        if self.items is not None:
            yield self.items


def compiled(schema: Schema, depth: int = 0) -> Structural:
    """Raises SchemaTooDeep."""
    if depth > MAX_DEPTH:
        raise SchemaTooDeep
    result = Structural(
        schema,
        type=_text(schema, "type"),
        nullable=schema.get("nullable") is True,
        default=schema.get("default", UNSET),
        preserve=schema.get("x-kubernetes-preserve-unknown-fields") is True,
        embedded=schema.get("x-kubernetes-embedded-resource") is True,
        int_or_string=schema.get("x-kubernetes-int-or-string") is True,
        list_type=_text(schema, "x-kubernetes-list-type"),
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=_text(schema, "x-kubernetes-map-type"),
        rules=tuple(schema.get("x-kubernetes-validations") or ()),
    )
    _fill(result, schema, depth + 1)
    below = list(result.children())
    result.has_defaults = result.default is not UNSET or any(child.has_defaults for child in below)
    result.has_rules = bool(result.rules) or any(child.has_rules for child in below)
    result.has_lists = result.list_type in ("set", "map") or any(child.has_lists for child in below)
    return result


def _fill(result: Structural, schema: Schema, depth: int) -> None:
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, Mapping):
            result.properties[name] = compiled(child, depth)
    additional = schema.get("additionalProperties")
    result.additional = compiled(additional, depth) if isinstance(additional, Mapping) else additional
    items = schema.get("items")
    if isinstance(items, Mapping):
        result.items = compiled(items, depth)


def _text(schema: Schema, name: str) -> str:
    value = schema.get(name)
    return value if isinstance(value, str) else ""


_NESTED: Final = ("items", "additionalProperties", "additionalItems", "not")
_LISTED: Final = ("allOf", "anyOf", "oneOf")
_NAMED: Final = ("properties", "patternProperties", "definitions", "dependencies")


def inner_schemas(schema: Schema) -> Iterator[Schema]:
    """The schemas directly inside one, wherever they stand."""
    for name in _NESTED:
        value = schema.get(name)
        if isinstance(value, Mapping):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, Mapping))
    for name in _LISTED:
        yield from (item for item in schema.get(name) or () if isinstance(item, Mapping))
    for name in _NAMED:
        yield from (item for item in (schema.get(name) or {}).values() if isinstance(item, Mapping))


def depth_of(schema: Schema) -> int:
    """Levels of schemas, counted without recursion and no further than just past `MAX_DEPTH`."""
    level, at = [schema], 0
    while level and at <= MAX_DEPTH:
        level = [child for parent in level for child in inner_schemas(parent)]
        at += 1
    return at
