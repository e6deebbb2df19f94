"""Label selectors: the text grammar, LabelSelector objects, and matching.

A hand-written lexer and parser as apimachinery's ``labels/selector.go``, because the error texts name the
token found and the tokens expected at exactly that place::

    selector    = requirement { "," requirement }
    requirement = [ "!" ] KEY | KEY ("=" | "==" | "!=" | "<" | ">") VALUE
                | KEY ("in" | "notin") "(" VALUE { "," VALUE } ")"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api import field_errors, go_int
from apiserver.api.field_errors import FieldError, Path, quote
from apiserver.api.names import check_label_value, check_qualified_name

IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS = "in", "notin", "=", "==", "!="
EXISTS, DOES_NOT_EXIST, GREATER, LESS = "exists", "!", "gt", "lt"

_SPECIAL: Final = frozenset("=!(),><")
_SPACE: Final = frozenset(" \t\r\n")
_SYMBOLS: Final = frozenset({")", ",", "!", "==", "=", ">", "<", "!=", "("})
_KEYWORDS: Final = frozenset({"in", "notin"})
_OPERATORS: Final = {
    "in": IN,
    "notin": NOT_IN,
    "=": EQUALS,
    "==": DOUBLE_EQUALS,
    "!=": NOT_EQUALS,
    ">": GREATER,
    "<": LESS,
}
_OPERATOR_NAMES: Final = "in, notin, =, ==, !=, gt, lt"
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_IDENTIFIER, _END = "identifier", "end"


class SelectorError(ValueError):
    """Malformed selector; the message is the original's."""


def _integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = go_int.integer(text)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in" | "=" | "==":
                return value is not None and value in self.values
            case "notin" | "!=":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return value is not None and self._compare(value)

    def _compare(self, value: str) -> bool:
        have, want = _integer(value), _integer(next(iter(self.values)))
        if have is None or want is None:
            return False
        return have > want if self.operator == GREATER else have < want

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({values})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == GREATER else '<'}{values}"
        return f"{self.key}{self.operator}{values}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; ``nothing`` matches no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def empty(self) -> bool:
        """True when it matches everything."""
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def _scan_symbol(text: str, at: int) -> tuple[str, int]:
    """The longest symbol at ``at``: (token, next position)."""
    end, found, taken = at, "", at
    while end < len(text) and text[end] in _SPECIAL:
        end += 1
        if text[at:end] in _SYMBOLS:
            found, taken = text[at:end], end
        elif found:
            break
    if not found:
        raise SelectorError(f"error expected: keyword found '{text[at:end]}'")
    return found, taken


def _tokens(text: str) -> list[tuple[str, str]]:
    """(token, literal) pairs; the last one is the end of the string, with an empty literal."""
    result: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
        elif text[at] in _SPECIAL:
            symbol, at = _scan_symbol(text, at)
            result.append((symbol, symbol))
        else:
            start = at
            while at < len(text) and text[at] not in _SPECIAL and text[at] not in _SPACE:
                at += 1
            word = text[start:at]
            result.append((word if word in _KEYWORDS else _IDENTIFIER, word))
    result.append((_END, ""))
    return result


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def _look(self) -> tuple[str, str]:
        """The next token where a value may stand: keywords count as identifiers."""
        token, literal = self._tokens[min(self._at, len(self._tokens) - 1)]
        return (_IDENTIFIER if token in _KEYWORDS else token), literal

    def _take(self, *, operator: bool = False) -> tuple[str, str]:
        token, literal = self._look()
        if operator and literal in _KEYWORDS:
            token = literal
        self._at += 1
        return token, literal

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            token, literal = self._look()
            if token == _END:
                return requirements
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except SelectorError as exc:
                raise SelectorError(f"unable to parse requirement: {exc}") from None
            token, literal = self._take()
            if token == _END:
                return requirements
            if token != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            token, literal = self._look()
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        key, operator = self._key()
        if operator:
            return new_requirement(key, operator, ())
        token, literal = self._take(operator=True)
        if token not in _OPERATORS:
            raise SelectorError(f"found '{literal}', expected: {_OPERATOR_NAMES}")
        operator = _OPERATORS[token]
        values = self._values() if operator in (IN, NOT_IN) else self._exact_value()
        return new_requirement(key, operator, values)

    def _key(self) -> tuple[str, str]:
        operator = ""
        token, literal = self._take()
        if token == "!":
            operator = DOES_NOT_EXIST
            token, literal = self._take()
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        _raise_all(_check_key(literal, Path()))
        if not operator and self._look()[0] in (_END, ","):
            operator = EXISTS
        return literal, operator

    def _values(self) -> set[str]:
        token, literal = self._take()
        if token != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        token, literal = self._look()
        if token == ")":
            self._take()
            return set()
        if token not in (_IDENTIFIER, ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._identifiers()
        if self._take()[0] != ")":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return values

    def _identifiers(self) -> set[str]:
        """Values up to the closing parenthesis; an empty place between commas is the empty value."""
        values: set[str] = set()
        while True:
            token, literal = self._take()
            follow, follow_literal = self._look()
            if token == _IDENTIFIER:
                values.add(literal)
                if follow == ")":
                    return values
                if follow != ",":
                    raise SelectorError(f"found '{follow_literal}', expected: ',' or ')'")
            elif token == ",":
                if not values or follow in (")", ","):
                    values.add("")
                if follow == ")":
                    return values
                if follow == ",":
                    self._take()
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")

    def _exact_value(self) -> set[str]:
        if self._look()[0] in (_END, ","):
            return {""}
        token, literal = self._take()
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return {literal}


def _check_key(key: str, path: Path) -> list[FieldError]:
    problems = check_qualified_name(key)
    return [field_errors.invalid(path, key, "; ".join(problems))] if problems else []


def _raise_all(errors: Sequence[FieldError]) -> None:
    if errors:
        raise SelectorError(field_errors.aggregate(errors))


def _check_values(operator: str, values: list[str], path: Path) -> list[FieldError]:
    if operator in (IN, NOT_IN) and not values:
        return [field_errors.invalid(path, [], "for 'in', 'notin' operators, values set can't be empty")]
    if operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS) and len(values) != 1:
        return [field_errors.invalid(path, values, "exact-match compatibility requires one single value")]
    if operator in (EXISTS, DOES_NOT_EXIST) and values:
        return [field_errors.invalid(path, values, "values set must be empty for exists and does not exist")]
    if operator not in (GREATER, LESS):
        return []
    if len(values) != 1:
        return [field_errors.invalid(path, values, "for 'Gt', 'Lt' operators, exactly one value is required")]
    if _integer(values[0]) is None:
        text = "for 'Gt', 'Lt' operators, the value must be an integer"
        return [field_errors.invalid(path.index(0), values[0], text)]
    return []


def new_requirement(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """Checked requirement; raises SelectorError."""
    path, ordered = Path("values"), sorted(set(values))
    errors = _check_key(key, Path("key")) + _check_values(operator, ordered, path)
    for at, value in enumerate(ordered):
        problems = check_label_value(value)
        if problems:
            errors.append(field_errors.invalid(path.index(at).key(key), value, "; ".join(problems)))
    _raise_all(errors)
    return Requirement(key, operator, frozenset(ordered))


def parse_selector(text: str) -> Selector:
    """Raises SelectorError with the original's text."""
    if not text:
        return EVERYTHING
    return Selector(tuple(sorted(_Parser(text).parse(), key=lambda item: item.key)))


_EXPRESSIONS: Final = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": DOES_NOT_EXIST}


def selector_from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """``{"matchLabels", "matchExpressions"}``: None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    items = [
        new_requirement(key, EQUALS, [value]) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = _EXPRESSIONS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(
                f"{quote(expression.get('operator', ''))} is not a valid label selector operator"
            )
        items.append(new_requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return Selector(tuple(sorted(items, key=lambda item: item.key)))


def selector_from_set(labels: Mapping[str, str] | None) -> Selector:
    """Equality on every label, unchecked; empty selects everything."""
    items = [Requirement(key, EQUALS, frozenset({value})) for key, value in sorted((labels or {}).items())]
    return Selector(tuple(items))
