"""(P) CEL rules of a definition when it is written: do they compile, may they use what they use, are they too dear.

A rule that was there before the update need not compile: what one version of the server accepted must stay
writable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, go_struct, invalid
from apiserver.cel.environment import Program
from apiserver.cel.sizes import Declared
from apiserver.cel.syntax import CompileError
from apiserver.cel.types import Type
from apiserver.crd.cel_sizes import declared
from apiserver.crd.cel_types import cel_type
from apiserver.crd.rule_costs import Spent
from apiserver.crd.rules import Rule, measure_message, measure_rule
from apiserver.crd.schema_rules import Place
from apiserver.crd.structural import Schema, compiled, inner_schemas

_FIELD: Final = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class RuleChecks:
    """``known``: texts of the rules and messages before the update."""

    known: frozenset[str] = frozenset()

    @classmethod
    def of(cls, old: Mapping[str, Any] | None) -> RuleChecks:
        """``old``: the spec before an update."""
        if old is None:
            return cls()
        schemas = [(v.get("schema") or {}).get("openAPIV3Schema") or {} for v in old.get("versions") or ()]
        return cls(frozenset(text for schema in schemas for text in _texts(schema)))

    def check(self, spent: Spent, schema: Schema, path: Path, place: Place) -> list[FieldError]:
        """``spent`` counts what all rules of the whole schema cost."""
        structural = compiled(schema)
        self_type = cel_type(structural, resource=place.root)
        size = declared(structural, resource=place.root) or Declared()
        found: list[FieldError] = []
        for at, rule in enumerate(structural.rules):
            one = _Check(self, spent, rule, self_type, size, path.child(_FIELD).index(at))
            found += one.errors(place)
        return found


@dataclass(frozen=True, slots=True)
class _Check:
    """Of one rule, at ``path``."""

    checks: RuleChecks
    spent: Spent
    rule: Rule
    self_type: Type | None
    size: Declared
    path: Path

    def errors(self, place: Place) -> list[FieldError]:
        found: list[FieldError] = []
        measured = self._measured(measure_rule, "rule", "compilation failed", found)
        if measured is not None:
            where = self.path.child("rule")
            found += self.spent.rule(measured[1], self.size, place.cardinality, where)
        if self.rule.get("messageExpression"):
            words = "messageExpression compilation failed"
            message = self._measured(measure_message, "messageExpression", words, found)
            if message is not None:
                found += self.spent.message(message[1], self.path.child("messageExpression"))
        return found + (self._old_values(measured[0], place) if measured is not None else [])

    def _old_values(self, program: Program, place: Place) -> list[FieldError]:
        if "oldSelf" in program.variables:
            if place.uncorrelatable is None:
                return []
            text = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
            where = self.path.child("rule")
            return [invalid(where, self.rule.get("rule"), f"{text} {place.uncorrelatable}")]
        if self.rule.get("optionalOldSelf") is None:
            return []
        text = "may not be set if oldSelf is not used in rule"
        return [invalid(self.path.child("optionalOldSelf"), self.rule["optionalOldSelf"], text)]

    def _measured(
        self,
        measure: Callable[[Rule, Type | None, Declared], tuple[Program, int]],
        name: str,
        words: str,
        found: list[FieldError],
    ) -> tuple[Program, int] | None:
        """None for what does not compile; what is to be said of it is added to ``found``."""
        try:
            return measure(self.rule, self.self_type, self.size)
        except CompileError as exc:
            if self.rule[name] in self.checks.known:
                return None
            text = f"{words}: {exc}"
        except ValueError as exc:
            text = str(exc)
        found.append(invalid(self.path.child(name), go_struct(dict(self.rule)), text))
        return None


def _texts(schema: Schema) -> Iterator[str]:
    for rule in schema.get(_FIELD) or ():
        yield from (rule[name] for name in ("rule", "messageExpression") if rule.get(name))
    for inner in inner_schemas(schema):
        yield from _texts(inner)
