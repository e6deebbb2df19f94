"""(P) CEL rules of a definition when it is written: do they compile, and may they use what they use.

A rule that was there before the update need not compile: what one version of the server accepted must stay
writable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, go_struct, invalid
from apiserver.cel.environment import Program
from apiserver.cel.syntax import CompileError
from apiserver.cel.types import Type
from apiserver.crd.cel_types import cel_type
from apiserver.crd.rules import Rule, compile_message, compile_rule
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

    def check(self, schema: Schema, path: Path, place: Place) -> list[FieldError]:
        structural = compiled(schema)
        self_type = cel_type(structural, resource=place.root)
        found: list[FieldError] = []
        for at, rule in enumerate(structural.rules):
            found += self._rule(rule, self_type, path.child(_FIELD).index(at), place)
        return found

    def _rule(self, rule: Rule, self_type: Type | None, path: Path, place: Place) -> list[FieldError]:
        program, found = self._compiled(compile_rule, rule, "rule", self_type, path, "compilation failed")
        if rule.get("messageExpression"):
            words = "messageExpression compilation failed"
            _, more = self._compiled(compile_message, rule, "messageExpression", self_type, path, words)
            found += more
        if program is None:
            return found
        if "oldSelf" in program.variables:
            if place.uncorrelatable is not None:
                text = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
                where = path.child("rule")
                found.append(invalid(where, rule.get("rule"), f"{text} {place.uncorrelatable}"))
        elif rule.get("optionalOldSelf") is not None:
            text = "may not be set if oldSelf is not used in rule"
            found.append(invalid(path.child("optionalOldSelf"), rule["optionalOldSelf"], text))
        return found

    def _compiled(
        self,
        compile_: Callable[[Rule, Type | None], Program],
        rule: Rule,
        name: str,
        self_type: Type | None,
        path: Path,
        words: str,
    ) -> tuple[Program | None, list[FieldError]]:
        try:
            return compile_(rule, self_type), []
        except CompileError as exc:
            if rule[name] in self.known:
                return None, []
            return None, [invalid(path.child(name), go_struct(dict(rule)), f"{words}: {exc}")]
        except ValueError as exc:
            return None, [invalid(path.child(name), go_struct(dict(rule)), str(exc))]


def _texts(schema: Schema) -> Iterator[str]:
    for rule in schema.get(_FIELD) or ():
        yield from (rule[name] for name in ("rule", "messageExpression") if rule.get(name))
    for inner in inner_schemas(schema):
        yield from _texts(inner)
