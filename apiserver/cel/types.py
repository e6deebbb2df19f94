"""(P) Types of expressions, and signatures of functions as texts: ``string.substring(int, int) -> string``.

A single capital letter is a type parameter. ``dyn`` goes with everything; what it hides is found out when the
expression is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Type:
    """``fields``: of an object, by the name that expressions use: (name in the value, type)."""

    name: str
    params: tuple[Type, ...] = ()
    fields: Mapping[str, tuple[str, Type]] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        shown = _SHOWN.get(self.name, self.name)
        return f"{shown}({', '.join(map(str, self.params))})" if self.params else shown

    @property
    def is_parameter(self) -> bool:
        return len(self.name) == 1 and self.name.isupper()


_SHOWN: Final = {"null_type": "null", "optional": "optional_type"}
DYN: Final = Type("dyn")
BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null_type")
TIMESTAMP: Final = Type("timestamp")
DURATION: Final = Type("duration")


def list_of(item: Type) -> Type:
    return Type("list", (item,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("optional", (value,))


def object_of(name: str, fields: Mapping[str, tuple[str, Type]]) -> Type:
    return Type(name, fields=fields)


Resolve = Callable[[str], Type | None]
"""The type that may be made by its name (``Name{field: value}``), None: there is none."""
Bindings = dict[str, Type]
_NULLABLE: Final = frozenset({"timestamp", "duration", "optional"})


def fits(actual: Type, wanted: Type, bound: Bindings) -> bool:
    """Whether a value of one type may stand where another is wanted; type parameters are bound on the way."""
    if wanted.is_parameter:
        known = bound.get(wanted.name)
        if known is None or known == DYN:
            bound[wanted.name] = actual
            return True
        if actual == NULL or known == NULL:
            bound[wanted.name] = known if actual == NULL else actual
            return True
        if fits(actual, known, bound):
            return True
        if fits(known, actual, bound):
            bound[wanted.name] = actual
            return True
        return False
    if DYN in (actual, wanted):
        return True
    if actual == NULL and (wanted.fields is not None or wanted.name in _NULLABLE):
        return True
    if actual.name != wanted.name or len(actual.params) != len(wanted.params):
        return False
    return all(fits(mine, theirs, bound) for mine, theirs in zip(actual.params, wanted.params, strict=True))


def resolved(kind: Type, bound: Bindings) -> Type:
    """With its type parameters replaced; unknown ones are dyn."""
    if kind.is_parameter:
        return bound.get(kind.name, DYN)
    if not kind.params:
        return kind
    return Type(kind.name, tuple(resolved(param, bound) for param in kind.params))


def joined(left: Type | None, right: Type) -> Type:
    """The type of a list that has both."""
    if left is None or left == right:
        return right
    return DYN


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    params: tuple[Type, ...]
    result: Type
    receiver: bool


_SIGNATURE: Final = re.compile(
    r"(?:(?P<receiver>[\w(), ]+)\.)?(?P<name>[\w@!?:+\-*/%<>=&|\[\]]+)\((?P<params>.*)\)\s*->\s*(?P<result>.+)"
)


@lru_cache(maxsize=1024)
def signature(text: str) -> Signature:
    """``ns::name(A) -> B`` is the function ``ns.name``."""
    found = _SIGNATURE.fullmatch(text.strip())
    assert found is not None, text
    params = _types(found["params"])
    receiver = found["receiver"]
    if receiver is not None:
        params = (*_types(receiver), *params)
    return Signature(
        found["name"].replace("::", "."), params, _types(found["result"])[0], receiver is not None
    )


def _types(text: str) -> tuple[Type, ...]:
    found, depth, start = [], 0, 0
    for at, char in enumerate(text + ","):
        if char == "," and depth == 0:
            part = text[start:at].strip()
            start = at + 1
            if part:
                found.append(_type(part))
        depth += (char == "(") - (char == ")")
    return tuple(found)


def _type(text: str) -> Type:
    name, opened, rest = text.partition("(")
    return Type(name.strip(), _types(rest[:-1]) if opened else ())
