"""(P) Rules for each schema inside a definition beyond its structure, and the texts of its CEL rules.

Called when a definition is written. Source: apiextensions ``ValidateCustomResourceDefinitionOpenAPISchema``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from apiserver.cel.sizes import capped
from apiserver.crd.field_paths import PathError, field_path
from apiserver.crd.pruning import META_FIELDS
from apiserver.crd.rule_costs import multiplicity
from apiserver.crd.structural import Schema, compiled

_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object")
_UNSUPPORTED: Final = ("additionalItems", "patternProperties", "definitions", "dependencies")
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NEWLINE: Final = re.compile(r"[\n\r]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a schema stands. ``uncorrelatable``: the nearest part that two revisions cannot be compared within.
    ``cardinality``: how many such values one object has at most; None for any number.
    """

    root: bool = True
    defaults_forbidden: str | None = None
    inside_meta: bool = False
    uncorrelatable: Path | None = None
    cardinality: int | None = 1

    def below(self, schema: Schema) -> Place:
        """With the number of values that a schema here has below it."""
        factor = multiplicity(schema)
        if self.cardinality is None or factor == 1:
            return self
        return replace(self, cardinality=None if factor is None else capped(self.cardinality * factor))

    def inside(self, path: Path | None = None) -> Place:
        """Of a schema below; ``path``: of one that cannot be compared. Nearly always what it was: schemas are large."""
        uncorrelatable = self.uncorrelatable or path
        if not self.root and uncorrelatable is self.uncorrelatable:
            return self
        return replace(self, root=False, uncorrelatable=uncorrelatable)


CheckRules = Callable[[Schema, Path, Place], list[FieldError]]
"""Checks the CEL rules of a schema at which, and below which, nothing else is wrong."""


def validate_schema(schema: Schema, path: Path, check_rules: CheckRules | None = None) -> list[FieldError]:
    found, of_rules = _Walk(check_rules).visit(schema, path, Place())
    return found + of_rules


class _Walk:
    def __init__(self, check_rules: CheckRules | None) -> None:
        self._check_rules = check_rules

    def visit(self, schema: Schema, path: Path, place: Place) -> tuple[list[FieldError], list[FieldError]]:
        """Errors of the schemas, errors of their CEL rules."""
        found, of_rules = _supported(schema, path, place), list[FieldError]()
        for inner, where, inner_place in _children(schema, path, place.below(schema)):
            inner_found, inner_rules = self.visit(inner, where, inner_place)
            found += inner_found
            of_rules += inner_rules
        for name in ("not", "allOf", "anyOf", "oneOf"):
            if name in schema:
                found += _junctor(schema[name], path.child(name), place.inside())
        found += _combinations(schema, path)
        found += _extensions(schema, path)
        rules = schema.get("x-kubernetes-validations") or ()
        for at, rule in enumerate(rules):
            found += _rule(rule, schema, path.child("x-kubernetes-validations").index(at))
        if rules and not found and self._check_rules is not None:
            of_rules += self._check_rules(schema, path, place)
        return found, of_rules


def _junctor(value: Any, path: Path, place: Place) -> list[FieldError]:
    """Schemas in junctors have no CEL rules."""
    walk = _Walk(None)
    if isinstance(value, Mapping):
        return walk.visit(value, path, place)[0]
    return [
        error for at, inner in enumerate(value or ()) for error in walk.visit(inner, path.index(at), place)[0]
    ]


def _children(schema: Schema, path: Path, place: Place) -> list[tuple[Schema, Path, Place]]:
    found: list[tuple[Schema, Path, Place]] = []
    additional, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(additional, Mapping):
        inner = place.inside()
        if place.inside_meta:
            inner = replace(
                inner, defaults_forbidden="inside additionalProperties applying to object metadata"
            )
        found.append((additional, path.child("additionalProperties"), inner))
    granular = schema.get("x-kubernetes-map-type") in (None, "granular")
    for name, child in (schema.get("properties") or {}).items():
        inner = place.inside(None if granular else path)
        if (place.root or schema.get("x-kubernetes-embedded-resource")) and name in META_FIELDS:
            inner = replace(inner, inside_meta=True)
            if place.root:
                inner = replace(inner, defaults_forbidden=f"in top-level {name}")
        found.append((child, path.child("properties").key(name), inner))
    correlated = schema.get("x-kubernetes-list-type") == "map"
    if isinstance(items, Mapping):
        found.append((items, path.child("items"), place.inside(None if correlated else path)))
    return found


def _supported(schema: Schema, path: Path, place: Place) -> list[FieldError]:
    found: list[FieldError] = []
    kind = schema.get("type") or ""
    if kind and kind not in _TYPES:
        found.append(not_supported(path.child("type"), kind, _TYPES))
    if schema.get("default") is not None and place.defaults_forbidden is not None:
        found.append(forbidden(path.child("default"), f"must not be set {place.defaults_forbidden}"))
    for name in ("id", *_UNSUPPORTED, "$ref"):
        if schema.get(name) not in (None, "", {}):
            found.append(forbidden(path.child(name), f"{name} is not supported"))
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        found.append(forbidden(path.child("type"), text))
    if isinstance(schema.get("items"), list):
        text = "items must be a schema object and not an array"
        found.append(forbidden(path.child("items"), text))
    if place.inside_meta and schema.get("x-kubernetes-embedded-resource"):
        text = "must not be used inside of resource meta"
        found.append(forbidden(path.child("x-kubernetes-embedded-resource"), text))
    return found


def _combinations(schema: Schema, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden(path.child("uniqueItems"), text))
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not True and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        found.append(forbidden(path.child("additionalProperties"), text))
    return found


def _extensions(schema: Schema, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        where = path.child("x-kubernetes-preserve-unknown-fields")
        found.append(invalid(where, False, "must be true or undefined"))
    found += _topology(schema, path, "map", "object", ("atomic", "granular"))
    found += _topology(schema, path, "list", "array", ("atomic", "set", "map"))
    items = schema.get("items")
    if schema.get("x-kubernetes-list-type") == "set" and schema.get("type") == "array":
        found += _set_items(items if isinstance(items, Mapping) else {}, path.child("items"))
    return found + _list_map(schema, path)


def _topology(schema: Schema, path: Path, what: str, kind: str, choices: tuple[str, ...]) -> list[FieldError]:
    name = f"x-kubernetes-{what}-type"
    value, actual = schema.get(name), schema.get("type") or ""
    found: list[FieldError] = []
    if value is None:
        return found
    if actual != kind:
        where, text = path.child("type"), f"must be {kind} if {name} is specified"
        found.append(invalid(where, actual, text) if actual else required(where, text))
    if value not in choices:
        found.append(not_supported(path.child(name), value, choices))
    return found


def _set_items(items: Schema, path: Path) -> list[FieldError]:
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    list_type, map_type = items.get("x-kubernetes-list-type"), items.get("x-kubernetes-map-type")
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        return [invalid(path.child("x-kubernetes-list-type"), list_type, text)]
    if items.get("type") == "object" and map_type != "atomic":
        return [invalid(path.child("x-kubernetes-map-type"), list_type, text)]
    return []


def _list_map(schema: Schema, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    keys, list_type = schema.get("x-kubernetes-list-map-keys") or [], schema.get("x-kubernetes-list-type")
    if keys and list_type != "map":
        where, text = (
            path.child("x-kubernetes-list-type"),
            "must be map if x-kubernetes-list-map-keys is non-empty",
        )
        found.append(required(where, text) if list_type is None else invalid(where, list_type, text))
    items = schema.get("items")
    if list_type == "map":
        if not keys:
            text = "must not be empty if x-kubernetes-list-type is map"
            found.append(required(path.child("x-kubernetes-list-map-keys"), text))
        found += _map_items(items, keys, path)
    if isinstance(items, Mapping) and list_type in ("set", "map"):
        found += _map_keys(items, keys if list_type == "map" else [], list_type, path.child("items"))
    return found


def _map_items(items: Any, keys: list[str], path: Path) -> list[FieldError]:
    where = path.child("items")
    if items is None:
        return [required(where, "must have a schema if x-kubernetes-list-type is map")]
    if not isinstance(items, Mapping):
        return [invalid(where, items, "must only have a single schema if x-kubernetes-list-type is map")]
    kind = items.get("type") or ""
    if kind != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        return [invalid(where.child("type"), kind, text)]
    found: list[FieldError] = []
    properties = items.get("properties") or {}
    of_keys = path.child("x-kubernetes-list-map-keys")
    for at, key in enumerate(keys):
        if key not in properties:
            found.append(invalid(of_keys, keys, "entries must all be names of item properties"))
        elif properties[key].get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(where.child("properties").key(key).child("type"), kind, text))
        if key in keys[:at]:
            found.append(invalid(of_keys, keys, "must not contain duplicate entries"))
    return found


def _map_keys(items: Schema, keys: list[str], list_type: str, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if items.get("nullable"):
        text = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        found.append(forbidden(path.child("nullable"), text))
    properties = items.get("properties") or {}
    known = [key for key in keys if key in properties]
    for key in known:
        where = path.child("properties").key(key)
        if key not in (items.get("required") or ()) and properties[key].get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            found.append(required(where.child("default"), text))
        if properties[key].get("nullable"):
            text = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            found.append(forbidden(where.child("nullable"), text))
    return found


def _rule(rule: Mapping[str, Any], schema: Schema, path: Path) -> list[FieldError]:
    """The texts of one CEL rule."""
    found: list[FieldError] = []
    text, message = rule.get("rule") or "", rule.get("message") or ""
    expression, pointer = rule.get("messageExpression") or "", rule.get("fieldPath") or ""
    if not text.strip():
        found.append(required(path.child("rule"), "rule is not specified"))
    elif message and not message.strip():
        found.append(invalid(path.child("message"), message, "must be non-empty if specified"))
    elif _NEWLINE.search(message.strip()):
        found.append(invalid(path.child("message"), message, "must not contain line breaks"))
    elif _NEWLINE.search(text.strip()) and not message.strip():
        found.append(
            required(path.child("message"), "message must be specified if rule contains line breaks")
        )
    if expression and not expression.strip():
        where = path.child("messageExpression")
        found.append(required(where, "messageExpression must be non-empty if specified"))
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        found.append(not_supported(path.child("reason"), reason, _REASONS))
    if pointer and not pointer.strip():
        found.append(invalid(path.child("fieldPath"), pointer, "must be non-empty if specified"))
    if _NEWLINE.search(pointer):
        found.append(invalid(path.child("fieldPath"), pointer, "must not contain line breaks"))
    if pointer and not _is_field(pointer, schema):
        found.append(invalid(path.child("fieldPath"), pointer, "must be a valid path"))
    return found


def _is_field(pointer: str, schema: Schema) -> bool:
    try:
        field_path(pointer, compiled(schema))
    except PathError:
        return False
    return True
