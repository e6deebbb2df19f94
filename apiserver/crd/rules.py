"""(P) ``x-kubernetes-validations``: the CEL rules of a schema, run on the values they belong to.

Compiled when a definition's first object is checked. A rule that uses ``oldSelf`` runs only where there is an
old value to compare with, unless it says that it can do without; one that does not is only a warning where
its value has not changed (ratcheting). Source: apiextensions ``pkg/apiserver/schema/cel/validation.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from apiserver.api.field_errors import OMITTED, ErrorType, FieldError, Path
from apiserver.cel.environment import CALL_LIMIT, OBJECT_LIMIT, Environment, Program
from apiserver.cel.sizes import Declared
from apiserver.cel.syntax import CompileError, CostExceeded, EvaluationError
from apiserver.cel.types import BOOL, DYN, STRING, Type, optional_of
from apiserver.cel.values import NONE, Optional, equal
from apiserver.crd.cel_types import cel_type, cel_value, converts
from apiserver.crd.correlation import child_of, item_of
from apiserver.crd.field_paths import PathError, field_path
from apiserver.crd.structural import Structural

Rule = Mapping[str, Any]
Check = Callable[[], None]
_ABSENT: Final = object()
_LONGEST_MESSAGE: Final = 5 * 1024
_BROKE: Final = "validation failed due to running out of cost budget, no further validation rules will be run"
_REASONS: Final = {
    "FieldValueForbidden": ErrorType.FORBIDDEN,
    "FieldValueRequired": ErrorType.REQUIRED,
    "FieldValueDuplicate": ErrorType.DUPLICATE,
}


class BudgetSpent(Exception):
    """No further rule is run."""


@dataclass(slots=True)
class Compiled:
    """``failure``: why the rule cannot be run."""

    rule: Rule
    program: Program | None = None
    message: Program | None = None
    path: str = ""
    failure: str = ""

    @property
    def uses_old(self) -> bool:
        return self.program is not None and "oldSelf" in self.program.variables

    @property
    def shown(self) -> str:
        return str(self.rule.get("message") or self.rule.get("rule") or "").strip()

    @property
    def text(self) -> str:
        """The message of a rule that has no expression for it."""
        message = str(self.rule.get("message") or "").strip()
        return message or f"failed rule: {self.shown}"


def environment(self_type: Type | None, rule: Rule) -> Environment:
    kind = self_type if self_type is not None else DYN
    old = optional_of(kind) if rule.get("optionalOldSelf") else kind
    return Environment({"self": kind, "oldSelf": old})


def compile_rule(rule: Rule, self_type: Type | None) -> Program:
    """Raises CompileError, and ValueError where the rule is not a condition."""
    return _condition(environment(self_type, rule).compile(rule.get("rule") or ""))


def measure_rule(rule: Rule, self_type: Type | None, size: Declared) -> tuple[Program, int]:
    """With the most that one run costs. Raises as :func:`compile_rule`."""
    program, cost = environment(self_type, rule).measure(rule.get("rule") or "", size)
    return _condition(program), cost


def compile_message(rule: Rule, self_type: Type | None) -> Program:
    """Raises CompileError, and ValueError where the message is not a text."""
    return _text(environment(self_type, rule).compile(rule["messageExpression"]))


def measure_message(rule: Rule, self_type: Type | None, size: Declared) -> tuple[Program, int]:
    """With the most that one run costs. Raises as :func:`compile_message`."""
    program, cost = environment(self_type, rule).measure(rule["messageExpression"], size)
    return _text(program), cost


def _condition(program: Program) -> Program:
    if program.result not in (BOOL, DYN):
        raise ValueError("cel expression must evaluate to a bool")
    return program


def _text(program: Program) -> Program:
    if program.result not in (STRING, DYN):
        raise ValueError("messageExpression must evaluate to a string")
    return program


def _compiled(rule: Rule, schema: Structural, self_type: Type | None) -> Compiled:
    result = Compiled(rule)
    try:
        result.program = compile_rule(rule, self_type)
        if rule.get("messageExpression"):
            result.message = compile_message(rule, self_type)
        if rule.get("fieldPath"):
            result.path = field_path(rule["fieldPath"], schema).path.text
    except (CompileError, PathError, ValueError) as exc:
        result.failure = f"rule compile error: compilation failed: {exc}"
    return result


@dataclass(slots=True)
class _Node:
    """The rules of one schema and of those below it; parts without rules are left out."""

    schema: Structural
    rules: list[Compiled]
    converts: bool
    properties: dict[str, _Node] = field(default_factory=dict)
    additional: _Node | None = None
    items: _Node | None = None


def _node(schema: Structural, *, root: bool = False) -> _Node | None:
    if not schema.has_rules:
        return None
    self_type = cel_type(schema, resource=root) if schema.rules else None
    rules = [_compiled(rule, schema, self_type) for rule in schema.rules]
    result = _Node(schema, rules, bool(rules) and converts(schema))
    for name, child in schema.properties.items():
        inner = _node(child)
        if inner is not None:
            result.properties[name] = inner
    if isinstance(schema.additional, Structural):
        result.additional = _node(schema.additional)
    if schema.items is not None:
        result.items = _node(schema.items)
    return result


class Rules:
    def __init__(self, schema: Structural) -> None:
        self._root = _node(schema, root=True)

    def validate(
        self, new: Any, old: Any, check: Check | None = None, budget: int = OBJECT_LIMIT
    ) -> tuple[list[FieldError], list[str]]:
        """(errors, warnings). ``old``: None on creation. ``check``: see :meth:`Program.evaluate`."""
        if self._root is None:
            return [], []
        run = _Run(check, budget)
        try:
            run.visit(self._root, new, _ABSENT if old is None else old, Path(), unchanged=False)
        except BudgetSpent:
            return run.errors, run.warnings
        return run.errors, run.warnings


class _Run:
    def __init__(self, check: Check | None, budget: int) -> None:
        self._check = check
        self._budget = budget
        self.errors: list[FieldError] = []
        self.warnings: list[str] = []

    def visit(self, node: _Node, new: Any, old: Any, path: Path, *, unchanged: bool) -> None:
        """``unchanged``: whether the nearest part that can be compared is what it was. Raises BudgetSpent."""
        if new is None:
            return
        if old is not _ABSENT:
            unchanged = equal(new, old)
        if node.rules:
            self._rules(node, new, old, path, unchanged=unchanged)
        if isinstance(new, list) and node.items is not None:
            for at, item in enumerate(new):
                before = item_of(node.schema, item, old, _ABSENT)
                self.visit(node.items, item, before, path.index(at), unchanged=unchanged)
        elif isinstance(new, dict):
            self._fields(node, new, old, path, unchanged=unchanged)

    def _fields(self, node: _Node, new: dict[str, Any], old: Any, path: Path, *, unchanged: bool) -> None:
        comparable = node.schema.map_type in ("", "granular")
        for name, item in new.items():
            known = node.schema.properties.get(name)
            inner = node.properties.get(name) if known is not None else node.additional
            if inner is not None:
                before = child_of(old, name, _ABSENT) if comparable else _ABSENT
                where = path.child(name) if known is not None else path.key(name)
                self.visit(inner, item, before, where, unchanged=unchanged)

    def _rules(self, node: _Node, new: Any, old: Any, path: Path, *, unchanged: bool) -> None:
        given = old is not _ABSENT and old is not None
        seen = cel_value(new, node.schema) if node.converts else new
        before = (cel_value(old, node.schema) if node.converts else old) if given else None
        for rule in node.rules:
            if rule.uses_old and not given and not rule.rule.get("optionalOldSelf"):
                continue
            variables = {"self": seen}
            if rule.rule.get("optionalOldSelf"):
                variables["oldSelf"] = Optional(True, before) if given else NONE
            elif given:
                variables["oldSelf"] = before
            error = self._apply(rule, variables, path)
            if error is None:
                continue
            if unchanged and not rule.uses_old:
                self.warnings.append(error.message())
            else:
                self.errors.append(error)

    def _apply(self, rule: Compiled, variables: dict[str, Any], path: Path) -> FieldError | None:
        """What is wrong with the value, None if nothing. Raises BudgetSpent."""
        if rule.program is None or rule.failure:
            return _invalid(path, rule.failure)
        try:
            holds = self._evaluate(rule.program, variables, path)
        except CostExceeded as exc:
            why = "no further validation rules will be run due to call cost exceeds limit for rule"
            self._stop(path, f"'{exc}': {why}: {rule.shown}")
        except EvaluationError as exc:
            return _invalid(path, _failure(exc, rule))
        if holds is True:
            return None
        where = path.child(rule.path) if rule.path else path
        return _error(where, self._message(rule, variables, path), rule.rule.get("reason"))

    def _evaluate(self, program: Program, variables: dict[str, Any], path: Path) -> Any:
        if self._budget <= 0:
            self._stop(path, _BROKE)
        value, cost = program.evaluate(variables, CALL_LIMIT, self._check)
        if cost > self._budget:
            self._stop(path, _BROKE)
        self._budget -= cost
        return value

    def _stop(self, path: Path, text: str) -> NoReturn:
        self.errors.append(_invalid(path, text))
        raise BudgetSpent

    def _message(self, rule: Compiled, variables: dict[str, Any], path: Path) -> str:
        """What the rule's expression says, or its fixed text where that says nothing usable."""
        if rule.message is None:
            return rule.text
        try:
            text = self._evaluate(rule.message, variables, path)
        except EvaluationError:
            return rule.text
        text = text.strip() if isinstance(text, str) else ""
        usable = text and len(text.encode()) <= _LONGEST_MESSAGE and "\n" not in text
        return text if usable else rule.text


def _failure(exc: EvaluationError, rule: Compiled) -> str:
    if str(exc).startswith("no such overload"):
        what = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{exc}': {what}: {rule.shown}"
    return f"{exc} evaluating rule: {rule.shown}"


def _invalid(path: Path, text: str) -> FieldError:
    return FieldError(ErrorType.INVALID, str(path), OMITTED, text)


def _error(path: Path, text: str, reason: str | None) -> FieldError:
    return FieldError(_REASONS.get(reason or "", ErrorType.INVALID), str(path), OMITTED, text)
