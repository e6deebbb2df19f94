"""(P) Paths such as ``.spec.max`` and ``.labels['a.b']`` that must lead to a field of a schema.

Used by ``fieldPath`` of CEL rules and by selectable fields. Source: ``ValidFieldPath`` of apiextensions
``pkg/apiserver/schema/cel``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from apiserver.api.field_errors import Path
from apiserver.crd.structural import Structural

_TOKEN: Final = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]']+")
_ESCAPES: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "'": "'",
    "\\": "\\",
}


class PathError(ValueError):
    """The text is the original's reason."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """``names``: the steps; ``path`` without a dot at its beginning."""

    path: Path
    names: tuple[str, ...]
    schema: Structural | None


def field_path(text: str, schema: Structural, *, brackets: bool = True) -> FieldPath:
    """``brackets``: whether the array notation is allowed. Raises PathError."""
    tokens = iter(_TOKEN.findall(text))
    found = FieldPath(Path(), (), schema)
    for token in tokens:
        if token == "." and (name := next(tokens, None)) is not None:
            found = _step(found, name)
        elif token == "[" and brackets:
            found = _step(found, _unquoted(next(tokens, "")), quoted=True)
            closing = next(tokens, None)
            if closing is None:
                raise PathError("unexpected end of JSON path")
            if closing != "]":
                raise PathError(f"expected ] but got {closing}")
        elif token == ".":
            raise PathError("unexpected end of JSON path")
        elif token == "[":
            raise PathError("array notation is not allowed")
        else:
            raise PathError(f"expected [ or . but got: {token}")
    return found


def _unquoted(token: str) -> str:
    if not token:
        raise PathError("unexpected end of JSON path")
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise PathError(f"expected single quoted string but got {token}")

    def plain(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise PathError(f"invalid string literal: invalid escape char {found[0]}")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", plain, token[1:-1])


def _step(at: FieldPath, name: str, *, quoted: bool = False) -> FieldPath:
    schema = at.schema
    if schema is not None and schema.properties:
        if name not in schema.properties:
            raise PathError("does not refer to a valid field")
        return FieldPath(at.path.child(name), (*at.names, name), schema.properties[name])
    if schema is not None and schema.additional:
        inner = schema.additional if isinstance(schema.additional, Structural) else None
        return FieldPath(at.path.key(name), (*at.names, name), inner)
    raise PathError("does not refer to a valid field")
