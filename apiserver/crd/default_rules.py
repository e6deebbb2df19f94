"""(P) Defaults in a definition must themselves be what the schema allows: valid, pruned, complete.

Source: apiextensions ``pkg/apiserver/schema/defaulting/validation.go``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.crd.defaulting import set_defaults
from apiserver.crd.list_types import validate_lists
from apiserver.crd.pruning import prune_value
from apiserver.crd.structural import UNSET, Structural
from apiserver.crd.values import validate


def validate_defaults(schema: Structural, path: Path, *, root: bool = True) -> list[FieldError]:
    """``schema`` is structural. Only what has defaults is walked."""
    if not schema.has_defaults:
        return []
    found: list[FieldError] = []
    if schema.default is not UNSET and not root:
        found += _default(schema, path.child("default"))
    for name, child in schema.properties.items():
        found += validate_defaults(child, path.child("properties").key(name), root=False)
    if schema.items is not None:
        found += validate_defaults(schema.items, path.child("items"), root=False)
    if isinstance(schema.additional, Structural):
        found += validate_defaults(schema.additional, path.child("additionalProperties"), root=False)
    return found


def _default(schema: Structural, path: Path) -> list[FieldError]:
    value: Any = deepcopy(schema.default)
    if value is None and not schema.nullable:
        return [invalid(path, None, "must not be null")]
    unknown = prune_value(value, schema)
    if unknown:
        shown = ", ".join(f"{path.text}.{name}" for name in unknown)
        return [invalid(path, schema.default, f"must not have unknown fields: {shown}")]
    set_defaults(value, schema)
    return validate(value, schema, path) + validate_lists(value, schema, path)
