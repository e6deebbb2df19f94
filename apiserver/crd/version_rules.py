"""(P) Subresources, printer columns and selectable fields of one version of a definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, required, too_many
from apiserver.crd.field_paths import PathError, field_path
from apiserver.crd.structural import Structural

Object = Mapping[str, Any]
MAX_SELECTABLE: Final = 8
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = (
    "binary", "bsonobjectid", "byte", "cidr", "creditcard", "date", "date-time", "datetime", "double", "duration",
    "email", "float", "hexcolor", "hostname", "int32", "int64", "ipv4", "ipv6", "isbn", "isbn10", "isbn13", "mac",
    "password", "rgbcolor", "ssn", "uri", "uuid", "uuid3", "uuid4", "uuid5",
)  # fmt: skip


def _simple_path(text: str, path: Path) -> list[FieldError]:
    return [] if text.startswith(".") else [invalid(path, text, "must be a simple json path starting with .")]


def _under(text: str, roots: tuple[str, ...], path: Path, words: str) -> list[FieldError]:
    found = _simple_path(text, path)
    if not found and not text.startswith(roots):
        found.append(invalid(path, text, f"should be a json path under {words}"))
    return found


def validate_subresources(subresources: Object, path: Path) -> list[FieldError]:
    scale = subresources.get("scale")
    if scale is None:
        return []
    found: list[FieldError] = []
    for key, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        where, text = path.child(f"scale.{key}"), scale.get(key) or ""
        found += _under(text, (f"{root}.",), where, root) if text else [required(where)]
    selector = scale.get("labelSelectorPath")
    if selector:
        words = "either .spec or .status"
        found += _under(selector, (".spec.", ".status."), path.child("scale.labelSelectorPath"), words)
    return found


def validate_columns(columns: list[Object], path: Path) -> list[FieldError]:
    return [error for at, column in enumerate(columns) for error in _column(column, path.index(at))]


def _column(column: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not column.get("name"):
        found.append(required(path.child("name")))
    kind, form, where = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    text = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not kind:
        found.append(required(path.child("type"), text))
    elif kind not in _COLUMN_TYPES:
        found.append(invalid(path.child("type"), kind, text))
    if form and form not in _COLUMN_FORMATS:
        found.append(invalid(path.child("format"), form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
    if not where:
        found.append(required(path.child("JSONPath")))
    else:
        found += _simple_path(where, path.child("JSONPath"))
    return found


def validate_selectable_fields(
    fields: list[Object], schema: Structural, path: Path, old: list[Object] | None
) -> list[FieldError]:
    """``old``: those before the update; too many may stay."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, field in enumerate(fields):
        where, text = path.index(at).child("jsonPath"), field.get("jsonPath") or ""
        found += _selectable(text, schema, where, seen) if text else [required(where)]
    if len(seen) > MAX_SELECTABLE and fields != old:
        found.append(too_many(path, len(seen), MAX_SELECTABLE))
    return found


def _selectable(text: str, schema: Structural, path: Path, seen: set[str]) -> list[FieldError]:
    try:
        found = field_path(text, schema, brackets=False)
    except PathError as exc:
        return [invalid(path, text, f"is an invalid path: {exc}")]
    errors: list[FieldError] = []
    if found.names[:1] == ("metadata",):
        errors.append(invalid(path, text, "must not point to fields in metadata"))
    if found.schema is None or found.schema.type not in ("string", "boolean", "integer"):
        words = (
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are "
            "allowed."
        )
        errors.append(invalid(path, text, words))
    if str(found.path) in seen:
        errors.append(duplicate(path, text))
    seen.add(str(found.path))
    return errors
