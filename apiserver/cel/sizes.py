"""(P) How large values may be: what the estimate of an expression's cost counts with.

Numbers saturate at `UNBOUNDED` and are rounded up, as cel-go's are. Fed by `apiserver.crd.cel_sizes` with what a schema
declares; used by `cost`. Source: cel-go ``checker/cost.go``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

UNBOUNDED: Final = 2**64 - 1
STRING_FACTOR: Final = 0.1
"""Of walking one character of a text, or comparing two values of that size."""
PATTERN_FACTOR: Final = 0.25
"""Of one character of a regular expression."""


def capped(number: int) -> int:
    return min(number, UNBOUNDED)


def scaled(number: int, factor: float) -> int:
    return capped(math.ceil(float(number) * factor))


@dataclass(frozen=True, slots=True)
class Size:
    """Characters, bytes or items: at least and at most."""

    least: int
    most: int

    def plus(self, other: Size) -> Size:
        return Size(capped(self.least + other.least), capped(self.most + other.most))

    def times(self, other: Size) -> Size:
        return Size(capped(self.least * other.least), capped(self.most * other.most))

    def or_(self, other: Size) -> Size:
        """Of a value that is one of the two."""
        return Size(min(self.least, other.least), max(self.most, other.most))

    def cost(self, factor: float = STRING_FACTOR) -> int:
        return scaled(self.most, factor)


ONE: Final = Size(1, 1)
UNKNOWN: Final = Size(0, UNBOUNDED)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a schema says of a value: the most characters or items, and the same of its parts.

    ``least_bytes``: how short it can be as JSON. ``fields`` are by the names that expressions use. Objects and scalars
    have ``most`` 0, which makes comparing them free: so does the original.
    """

    most: int = 0
    least_bytes: int = 2
    fields: Mapping[str, Declared] = field(default_factory=dict)
    items: Declared | None = None
    keys: Declared | None = None

    def part(self, step: str) -> Declared | None:
        match step:
            case "@items" | "@values":
                return self.items
            case "@keys":
                return self.keys
        return self.fields.get(step)
