"""(P) CEL rules of a definition when it is written: do they compile, and may they use what they use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apiserver.api.field_errors import FieldError, Path
from apiserver.crd.schema_rules import Place
from apiserver.crd.structural import Schema


@dataclass(slots=True)
class RuleChecks:
    known: frozenset[str] = frozenset()
    unchanged: bool = False
    found: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, old: dict[str, Any] | None) -> RuleChecks:
        return cls()

    def for_schema(self, schema: Schema, unchanged: bool) -> RuleChecks:
        return RuleChecks(self.known, unchanged)

    def check(self, schema: Schema, path: Path, place: Place) -> list[FieldError]:
        return []

    def total(self, path: Path) -> list[FieldError]:
        return []
