"""(P) What mutations may say beyond other expressions: ``Object{...}``, ``JSONPatch{...}`` and ``jsonpatch.escapeKey``.

``Object.spec.template{...}`` is the type of the field ``spec.template`` of the object. Fields of these types have any
value; that types and fields fit each other is looked at when a value is there. Source: apiserver ``pkg/cel/mutation``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from apiserver.admission.authorizing import FUNCTIONS
from apiserver.api.field_errors import quote
from apiserver.cel.library.function import Function, function, traversal
from apiserver.cel.library.times import duration_text, timestamp_text
from apiserver.cel.types import DYN, STRING, Type, list_of, object_of
from apiserver.cel.values import Duration, Made, UInt

_OBJECT: Final = "Object"
_PATCH_FIELDS: Final = {"op": STRING, "from": STRING, "path": STRING, "value": DYN}


class TypeMismatch(ValueError):
    """A value that is no part of a patch; the text says why."""


class _AnyField(Mapping[str, tuple[str, Type]]):
    """Of an object whose schema is not known."""

    def __getitem__(self, name: str) -> tuple[str, Type]:
        return name, DYN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


_ANY_FIELD: Final = _AnyField()
OBJECT: Final = object_of(_OBJECT, _ANY_FIELD)
JSON_PATCH: Final = object_of("JSONPatch", {name: (name, kind) for name, kind in _PATCH_FIELDS.items()})
PATCHES: Final = list_of(JSON_PATCH)


def resolve(name: str) -> Type | None:
    if name == JSON_PATCH.name:
        return JSON_PATCH
    if name == _OBJECT or name.startswith(_OBJECT + "."):
        return object_of(name, _ANY_FIELD)
    return None


def _escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


MUTATION_FUNCTIONS: Final[tuple[Function, ...]] = (
    *FUNCTIONS,
    function("jsonpatch::escapeKey(string) -> string", _escape_key, traversal),
)


def check_names(value: Any) -> None:
    """Every object is of the type that its place has the name of. Raises TypeMismatch."""
    problems = list(_misnamed(value, value.type_name if isinstance(value, Made) else ""))
    if problems:
        raise TypeMismatch("type mismatch: " + "\n".join(problems))


def _misnamed(value: Any, expected: str) -> Iterator[str]:
    if isinstance(value, Made):
        if value.type_name != expected:
            yield (
                f"unexpected type name {quote(value.type_name)}, expected {quote(expected)}, "
                "which matches field name path from root Object type"
            )
        for name, item in value.items():
            yield from _misnamed(item, f"{expected}.{name}")
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _misnamed(item, expected)


def plain(value: Any) -> Any:
    """As JSON has it. Raises TypeMismatch."""
    match value:
        case dict():
            return {_key(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case UInt():
            return int(value)
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
    raise TypeMismatch(f"unsupported type: {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeMismatch(f"map key {quote(str(key))} is not string")
    return key
