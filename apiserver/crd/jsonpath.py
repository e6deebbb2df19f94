r"""(P) Kubernetes' JSONPath, as printer columns use it: fields, indexes, slices, unions, ``*``, ``..`` and filters.

Differs from RFC 9535: a dot in a name is written ``\.``, a filter compares with ``==`` and the like or asks
for presence alone, and what is absent yields nothing. Compiled once per column. Source: client-go
``util/jsonpath``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_NAME: Final = re.compile(r"(?:\\.|[^.\[\]\\{}()\s,])+")
_FILTER: Final = re.compile(r"\s*(@[^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*$", re.DOTALL)
_LONGEST: Final = 2000
_MOST: Final = 10_000
"""Values that a descent visits: two of them in a row would visit the square."""
Step = Callable[[list[Any]], list[Any]]


class BadPath(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class JsonPath:
    steps: tuple[Step, ...]

    def find(self, obj: Any) -> list[Any]:
        """All values, possibly none."""
        values = [obj]
        for step in self.steps:
            values = step(values)
        return values


@lru_cache(maxsize=4096)
def compiled(text: str) -> JsonPath:
    """``.spec.tags[0]``, with or without the braces and dollar of a template. Raises BadPath."""
    if len(text) > _LONGEST:
        raise BadPath(f"longer than {_LONGEST} characters")
    return JsonPath(tuple(_steps(text.strip().removeprefix("{").removesuffix("}").strip().removeprefix("$"))))


def _steps(text: str) -> Iterable[Step]:
    at = 0
    while at < len(text):
        if text.startswith("..", at):
            yield _descend
            at += 1 if text.startswith("..[", at) else 2
            if at < len(text) and text[at] not in "[.":
                name, at = _name(text, at)
                yield _field(name)
            elif text.startswith(".[", at):
                at += 1
        elif text[at] == ".":
            if at + 1 == len(text) or text[at + 1] == "[":
                at += 1
                continue
            name, at = _name(text, at + 1)
            yield _every if name == "*" else _field(name)
        elif text[at] == "[":
            end = _closing(text, at)
            yield _bracket(text[at + 1 : end].strip())
            at = end + 1
        elif at == 0:
            name, at = _name(text, at)
            yield _field(name)
        else:
            raise BadPath(f"unexpected {text[at]!r} in {text!r}")


def _name(text: str, at: int) -> tuple[str, int]:
    found = _NAME.match(text, at)
    if found is None:
        raise BadPath(f"a name is missing in {text!r}")
    return re.sub(r"\\(.)", r"\1", found[0]), found.end()


def _closing(text: str, start: int) -> int:
    depth, quoted = 0, ""
    for at in range(start, len(text)):
        char = text[at]
        if quoted:
            quoted = "" if char == quoted and text[at - 1] != "\\" else quoted
        elif char in "'\"":
            quoted = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                return at
    raise BadPath(f"unterminated array in {text!r}")


def _bracket(inner: str) -> Step:
    if inner.startswith("?(") and inner.endswith(")"):
        return _filter(inner[2:-1])
    if inner == "*":
        return _every
    parts = [part.strip() for part in re.split(r",(?=(?:[^']*'[^']*')*[^']*$)", inner)]
    steps = [_selector(part) for part in parts]
    return steps[0] if len(steps) == 1 else lambda values: [item for step in steps for item in step(values)]


def _selector(part: str) -> Step:
    if len(part) > 1 and part[0] in "'\"" and part[-1] == part[0]:
        return _field(re.sub(r"\\(.)", r"\1", part[1:-1]))
    numbers = part.split(":")
    if len(numbers) > 3 or not all(re.fullmatch(r"\s*(-?\d+)?\s*", number) for number in numbers) or not part:
        raise BadPath(f"invalid array index {part!r}")
    if len(numbers) == 1:
        return _index(int(part))
    bounds = [int(number) if number.strip() else None for number in numbers]
    if bounds[2:] == [0]:
        raise BadPath("a step of 0")
    return lambda values: [
        item for value in values if isinstance(value, list) for item in value[slice(*bounds)]
    ]


def _index(number: int) -> Step:
    def step(values: list[Any]) -> list[Any]:
        fitting = (value for value in values if isinstance(value, list))
        return [value[number] for value in fitting if -len(value) <= number < len(value)]

    return step


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _every(values: list[Any]) -> list[Any]:
    return [item for value in values for item in _items(value)]


def _descend(values: list[Any]) -> list[Any]:
    found = list(values)
    for value in found:
        found.extend(_items(value))
        if len(found) > _MOST:
            break
    return found


def _filter(text: str) -> Step:
    parsed = _FILTER.match(text)
    if parsed is None:
        raise BadPath(f"invalid filter {text!r}")
    path, operator, operand = compiled(parsed[1][1:] or "."), parsed[2], parsed[3]
    wanted = _operand(operand) if operator else None

    def keeps(item: Any) -> bool:
        found = path.find(item)
        if not operator or not found:
            return bool(found)
        return _compare(found[0], operator, wanted)

    return lambda values: [item for value in values for item in _items(value) if keeps(item)]


def _operand(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise BadPath(f"unrecognized operand {text!r}") from None


def _compare(left: Any, operator: str, right: Any) -> bool:
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
    if not numbers and type(left) is not type(right):
        return operator == "!="
    match operator:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
    return bool(left >= right)
