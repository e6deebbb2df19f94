"""Validation errors bound to a field, with the texts of apimachinery's ``field`` package.

Validators return lists of :class:`FieldError`; :func:`apiserver.api.errors.invalid` turns such a list
into one Status. Paths are immutable and cheap to extend.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class ErrorType(StrEnum):
    NOT_FOUND = "FieldValueNotFound"
    REQUIRED = "FieldValueRequired"
    DUPLICATE = "FieldValueDuplicate"
    INVALID = "FieldValueInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    INTERNAL = "InternalError"
    TYPE_INVALID = "FieldValueTypeInvalid"


_TEXT: Final = {
    ErrorType.NOT_FOUND: "Not found",
    ErrorType.REQUIRED: "Required value",
    ErrorType.DUPLICATE: "Duplicate value",
    ErrorType.INVALID: "Invalid value",
    ErrorType.NOT_SUPPORTED: "Unsupported value",
    ErrorType.FORBIDDEN: "Forbidden",
    ErrorType.TOO_LONG: "Too long",
    ErrorType.TOO_MANY: "Too many",
    ErrorType.INTERNAL: "Internal error",
    ErrorType.TYPE_INVALID: "Invalid value",
}
_WITHOUT_VALUE: Final = frozenset(
    {ErrorType.REQUIRED, ErrorType.FORBIDDEN, ErrorType.TOO_LONG, ErrorType.INTERNAL, ErrorType.TOO_MANY}
)


OMITTED: Final = object()
"""In place of the value of an error that does not show it (``field.OmitValueType``)."""


class Raw(str):
    """A value printed as it is, without quotes (Go's dump of a struct, a duration, a number)."""


def go_struct(value: Any) -> Any:
    """As the original prints its internal types, whose fields have Go's names; without those that are not set."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: go_struct(item) for name, item in value.items()}
    return [go_struct(item) for item in value] if isinstance(value, list) else value


Part = str | tuple[str, ...] | int
"""Text as it is, names of fields, or an index."""


class Path:
    """``Path("spec").child("containers").index(0).child("name")`` prints ``spec.containers[0].name``.

    Rules make a path for every field they look at, and hardly one is ever shown. So a path only knows its parent and
    its own part; the text is put together when somebody asks."""

    __slots__ = ("_parent", "_part")

    def __init__(self, part: Part = "", parent: Path | None = None) -> None:
        self._part = part
        self._parent = parent

    def child(self, *names: str) -> Path:
        return Path(names, self)

    def index(self, number: int) -> Path:
        return Path(number, self)

    def key(self, name: str) -> Path:
        return Path(f"[{name}]", self)

    @property
    def text(self) -> str:
        parts: list[Part] = []
        place: Path | None = self
        while place is not None:
            parts.append(place._part)
            place = place._parent
        text = ""
        for part in reversed(parts):
            text += _shown(part, first=not text)
        return text

    def __str__(self) -> str:
        return self.text or "<nil>"

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def _shown(part: Part, *, first: bool) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if isinstance(part, str):
        return part
    joined = ".".join(part)
    return joined if first else f".{joined}"


def quote(text: str) -> str:
    """Go's %q for the strings that occur in API objects."""
    return json.dumps(text, ensure_ascii=False)


def _value_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


@dataclass(frozen=True, slots=True)
class FieldError:
    type: ErrorType
    field: str
    value: Any = None
    detail: str = ""

    def body(self) -> str:
        """The text without the field name."""
        text = _TEXT[self.type]
        if self.type not in _WITHOUT_VALUE and self.value is not OMITTED:
            text = f"{text}: {_value_text(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def message(self) -> str:
        return f"{self.field}: {self.body()}"

    def cause(self) -> dict[str, str]:
        return {"reason": self.type.value, "message": self.body(), "field": self.field}


def not_found(path: Path, value: Any) -> FieldError:
    return FieldError(ErrorType.NOT_FOUND, str(path), value)


def required(path: Path, detail: str = "") -> FieldError:
    return FieldError(ErrorType.REQUIRED, str(path), None, detail)


def duplicate(path: Path, value: Any, detail: str = "") -> FieldError:
    return FieldError(ErrorType.DUPLICATE, str(path), value, detail)


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError(ErrorType.INVALID, str(path), value, detail)


def type_invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError(ErrorType.TYPE_INVALID, str(path), value, detail)


def not_supported(path: Path, value: Any, supported: Iterable[str], *, ordered: bool = False) -> FieldError:
    """The allowed values are listed sorted, as the original does, unless their order is given."""
    names = list(supported) if ordered else sorted(supported)
    detail = "supported values: " + ", ".join(quote(name) for name in names) if names else ""
    return FieldError(ErrorType.NOT_SUPPORTED, str(path), value, detail)


def forbidden(path: Path, detail: str) -> FieldError:
    return FieldError(ErrorType.FORBIDDEN, str(path), None, detail)


def too_long(path: Path, limit: int) -> FieldError:
    unit = "byte" if limit == 1 else "bytes"
    detail = f"may not be more than {limit} {unit}" if limit >= 0 else "value is too long"
    return FieldError(ErrorType.TOO_LONG, str(path), None, detail)


def too_many(path: Path, actual: int, limit: int) -> FieldError:
    if limit >= 0:
        item = "item" if limit == 1 else "items"
        actual_text = f"{actual}: " if actual >= 0 else ""
        return FieldError(
            ErrorType.TOO_MANY, str(path), None, f"{actual_text}must have at most {limit} {item}"
        )
    return FieldError(ErrorType.TOO_MANY, str(path), None, "has too many items")


def internal(path: Path, detail: str) -> FieldError:
    return FieldError(ErrorType.INTERNAL, str(path), None, detail)


def aggregate(errors: Sequence[FieldError]) -> str:
    """One message for all errors: bare for one, ``[a, b]`` for several, repeated texts once."""
    messages = list(dict.fromkeys(error.message() for error in errors))
    return messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"
