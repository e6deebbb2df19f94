"""Field selectors: ``metadata.name=a,status.phase!=Running``. Source: apimachinery ``fields``.

Which labels a kind accepts is the registry's business; this module only parses and matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class FieldSelectorError(ValueError):
    """Malformed selector; the message is the original's."""


class FieldRequirement(NamedTuple):
    field: str
    operator: str  # "=" or "!="
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        for requirement in self.requirements:
            equal = fields.get(requirement.field, "") == requirement.value
            if equal != (requirement.operator == "="):
                return False
        return True

    def empty(self) -> bool:
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """The value ``field`` must have, if the selector says so."""
        for requirement in self.requirements:
            if requirement.field == field and requirement.operator == "=":
                return requirement.value
        return None

    def transform(self, change: Callable[[str, str], tuple[str, str]]) -> FieldSelector:
        """Every (field, value) passed through ``change``, which may raise."""
        changed = [
            FieldRequirement(field, item.operator, value)
            for item in self.requirements
            for field, value in [change(item.field, item.value)]
        ]
        return FieldSelector(tuple(changed))

    def __str__(self) -> str:
        return ",".join(f"{item.field}{item.operator}{escape(item.value)}" for item in self.requirements)


EVERYTHING = FieldSelector()


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(value: str) -> str:
    result, escaped = [], False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise FieldSelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            result.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise FieldSelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            result.append(char)
    if escaped:
        raise FieldSelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(result)


def _split_terms(text: str) -> list[str]:
    terms, start, escaped = [], 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:at])
            start = at + 1
    terms.append(text[start:])
    return terms


def _split_term(term: str) -> tuple[str, str, str] | None:
    for at in range(len(term)):
        for operator in ("!=", "==", "="):
            if term.startswith(operator, at):
                return term[:at], "!=" if operator == "!=" else "=", term[at + len(operator) :]
    return None


def parse_field_selector(text: str) -> FieldSelector:
    """Raises FieldSelectorError with the original's text."""
    if not text:
        return EVERYTHING
    requirements = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        parts = _split_term(term)
        if parts is None:
            raise FieldSelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = parts
        requirements.append(FieldRequirement(field, operator, _unescape(value)))
    return FieldSelector(tuple(requirements))
