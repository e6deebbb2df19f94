"""(P) The estimated cost of the CEL rules of one schema, and what is too dear.

A rule may run once for every item of the lists and maps around it; how often that is, `Place.cardinality` says. Fed by
`rule_checks`, a rule at a time. Source: apiextensions ``pkg/apis/apiextensions/validation`` (``getExpressionCost``,
``TotalCost``).
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, forbidden
from apiserver.cel.sizes import UNBOUNDED, Declared, capped
from apiserver.crd.cel_sizes import most_often
from apiserver.crd.structural import Schema

EXPRESSION_LIMIT: Final = 10_000_000
SCHEMA_LIMIT: Final = 100_000_000
_SHOWN: Final = 4
_ADVICE: Final = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)
_CONTRIBUTED: Final = (
    "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
)
_TOTAL: Final = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"


def multiplicity(schema: Schema) -> int | None:
    """How many values one value has below it; None for any number."""
    match schema.get("type"):
        case "array":
            return _limit(schema.get("maxItems"))
        case "object" if schema.get("additionalProperties") is not None:
            return _limit(schema.get("maxProperties"))
    return 1


def _limit(value: Any) -> int | None:
    return None if value is None else max(int(value), 0)


class Spent:
    """Of one schema. ``tolerant``: it was there before the update, so single rules may be as dear as they are."""

    def __init__(self, *, tolerant: bool) -> None:
        self._tolerant = tolerant
        self._total = 0
        self._dearest: list[tuple[int, Path]] = []

    def rule(self, cost: int, self_size: Declared, cardinality: int | None, path: Path) -> list[FieldError]:
        """``cost``: of one run."""
        often = most_often(self_size) if cardinality is None else cardinality
        return self._observe("estimated rule cost", capped(cost * often), path)

    def message(self, cost: int, path: Path) -> list[FieldError]:
        return self._observe("estimated messageExpression cost", cost, path)

    def _observe(self, what: str, cost: int, path: Path) -> list[FieldError]:
        self._total = capped(self._total + cost)
        if cost >= SCHEMA_LIMIT // 100:
            self._dearest = sorted([*self._dearest, (cost, path)], key=lambda one: -one[0])[:_SHOWN]
        if cost <= EXPRESSION_LIMIT or self._tolerant:
            return []
        return [forbidden(path, _exceeds(what, cost, EXPRESSION_LIMIT))]

    def errors(self, path: Path) -> list[FieldError]:
        """Of the schema as a whole."""
        if self._total <= SCHEMA_LIMIT:
            return []
        found = [forbidden(where, _CONTRIBUTED) for _, where in self._dearest]
        return [*found, forbidden(path, _exceeds(_TOTAL, self._total, SCHEMA_LIMIT))]


def _exceeds(what: str, cost: int, limit: int) -> str:
    factor = min(cost, UNBOUNDED) / limit
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_ADVICE}"
