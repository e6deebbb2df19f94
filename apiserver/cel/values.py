"""(P) Values of expressions: plain Python values, and small classes for what Python has no type for.

bool, int (64 bits), float, str, bytes, None, list, dict; :class:`UInt`, :class:`Duration`, ``datetime`` for
timestamps, :class:`Optional`, :class:`TypeValue`, and opaque values of the libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final


class UInt(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Optional:
    """``optional.none()`` is NONE."""

    given: bool
    value: Any = None


NONE: Final = Optional(False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value, such as ``type(1)``."""

    name: str


class Made(dict[str, Any]):
    """An object made by the name of its type: ``Object.spec{replicas: 3}``."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


class Opaque:
    """Base of the libraries' own values; they compare and hash by themselves."""

    __slots__ = ()
    type_name = "opaque"


def equal(left: Any, right: Any) -> bool:
    """``==``: numbers of all types compare by value, other types are never equal to each other."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(key in right and equal(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Optional) and isinstance(right, Optional):
        return left.given == right.given and equal(left.value, right.value)
    return bool(left == right)


def type_name(value: Any) -> str:
    """As ``type()`` names it."""
    match value:
        case None:
            return "null_type"
        case bool():
            return "bool"
        case UInt():
            return "uint"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case list():
            return "list"
        case Made():
            return value.type_name
        case dict():
            return "map"
        case datetime():
            return "google.protobuf.Timestamp"
        case Duration():
            return "google.protobuf.Duration"
        case Optional():
            return "optional_type"
        case TypeValue():
            return "type"
        case Opaque():
            return value.type_name
    return "dyn"
