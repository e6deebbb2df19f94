"""Why a text is not JSON, in the words of Go's ``encoding/json``. Pure; used for error messages only."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from apiserver.api.codec import TOO_DEEP

_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}


def complaint(text: str) -> str:
    """The message Go gives for a text that is not one JSON value."""
    numbers = _Numbers()
    try:
        json.loads(text, parse_int=numbers.seen, parse_float=numbers.seen, parse_constant=numbers.constant)
    except json.JSONDecodeError as exc:
        return _explain(text, exc)
    except RecursionError:
        return TOO_DEEP
    return numbers.complaint or "unexpected end of JSON input"


class _Numbers:
    """What Python takes for a number and Go does not."""

    def __init__(self) -> None:
        self.complaint = ""

    def seen(self, text: str) -> None:
        if not self.complaint and math.isinf(float(text)):
            self.complaint = f"json: cannot unmarshal number {text} into Go value of type float64"

    def constant(self, text: str) -> None:
        place = "in numeric literal" if text.startswith("-") else "looking for beginning of value"
        self.complaint = self.complaint or f"invalid character '{text.lstrip('-')[0]}' {place}"


def _explain(text: str, exc: json.JSONDecodeError) -> str:
    at = exc.pos
    while at < len(text) and text[at].isspace():
        at += 1
    if at >= len(text) or exc.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    literal = _LITERALS.get(text[at])
    if exc.msg == "Expecting value" and literal:
        return _literal(text, at, literal)
    return f"invalid character {_quote(text[at])} {_place(exc.msg)}"


def _literal(text: str, at: int, literal: str) -> str:
    for offset, wanted in enumerate(literal):
        if at + offset >= len(text):
            return "unexpected end of JSON input"
        if text[at + offset] != wanted:
            found = _quote(text[at + offset])
            return f"invalid character {found} in literal {literal} (expecting '{wanted}')"
    return "unexpected end of JSON input"


def _place(message: str) -> str:
    if message.startswith("Expecting property name"):
        return "looking for beginning of object key string"
    if message.startswith("Expecting ':'"):
        return "after object key"
    if message.startswith("Expecting ','"):
        return "after object key:value pair"
    if message.startswith("Extra data"):
        return "after top-level value"
    return "looking for beginning of value"


def _quote(char: str) -> str:
    if char == "'":
        return "'\\''"
    if char == '"':
        return "'\"'"
    code = ord(char)
    return f"'\\u{code:04x}'" if code < 0x20 or 0x7F <= code < 0xA0 else f"'{char}'"


_KINDS: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def kind(value: Any) -> str:
    """As Go's decoder names what it found."""
    return _KINDS.get(type(value), "null")


def no_map(value: Any) -> str:
    """What it says of a document that is no object where any object would do."""
    return f"json: cannot unmarshal {kind(value)} into Go value of type map[string]interface {{}}"
