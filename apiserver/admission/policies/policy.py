"""(P) A ValidatingAdmissionPolicy, compiled, and what it says of one object.

Fed by the plugin with the values of the variables. Compiled once for every stored generation. An expression that
does not compile or fails is a failure of the policy, which its failurePolicy turns into a refusal or into
nothing. Source: apiserver ``pkg/admission/plugin/policy/validating/validator.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.admission.expressions import (
    BUDGET,
    VALUE_TYPES,
    Budget,
    BudgetSpent,
    Conditions,
    Expression,
    ExpressionFailed,
    LazyVariables,
    declared,
)
from apiserver.admission.matching import Criteria
from apiserver.api.gvk import GroupVersionKind
from apiserver.cel.evaluator import Check
from apiserver.cel.types import BOOL, STRING, Type
from apiserver.cel.values import type_name

Object = Mapping[str, Any]
INVALID: Final = "Invalid"
_LONGEST_MESSAGE: Final = 5 * 1024
_LONGEST_VALUE: Final = 10 * 1024


@dataclass(frozen=True, slots=True)
class Denial:
    """One validation that refuses. ``index``: which of the policy's it is."""

    message: str
    reason: str = ""
    index: int = 0


@dataclass(slots=True)
class Outcome:
    """``failures`` refuse whatever the binding's actions are."""

    denials: list[Denial] = field(default_factory=list)
    failures: list[Denial] = field(default_factory=list)
    annotations: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Validation:
    expression: Expression
    message: str
    reason: str
    words: Expression | None

    def denial(self, index: int, values: Object, budget: Budget) -> Denial:
        """Raises BudgetSpent."""
        text = self._worked_out(values, budget) or self.message.strip()
        return Denial(text or f"failed expression: {self.expression.text.strip()}", self.reason, index)

    def _worked_out(self, values: Object, budget: Budget) -> str:
        """Empty where ``messageExpression`` gives nothing that can be shown."""
        if self.words is None:
            return ""
        try:
            value = self.words.run(values, budget)
        except BudgetSpent:
            raise
        except ExpressionFailed:
            return ""
        text = value.strip() if isinstance(value, str) else ""
        return "" if len(text.encode()) > _LONGEST_MESSAGE or "\n" in text else text


class Policy:
    """``fail``: the failurePolicy; ``param_kind`` None: the policy has no params."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.fail = spec.get("failurePolicy") != "Ignore"
        self.criteria = Criteria.of_policy(spec.get("matchConstraints") or {})
        self.param_kind = param_kind(spec.get("paramKind"))
        params = self.param_kind is not None
        self._variables, known = variables(spec.get("variables") or (), params=params)
        conditions = spec.get("matchConditions") or ()
        self._conditions = Conditions(conditions, declared(params=params), fail=self.fail)
        self._validations = [_validation(item, known) for item in spec.get("validations") or ()]
        self._notes = [
            (note.get("key") or "", Expression(note.get("valueExpression") or "", known, VALUE_TYPES))
            for note in spec.get("auditAnnotations") or ()
        ]

    def decide(self, values: Object, check: Check | None = None, budget: int = BUDGET) -> Outcome:
        """``values``: those of all variables but ``variables``. ``check``: see :meth:`Program.evaluate`."""
        outcome = Outcome()
        try:
            if not self._conditions.hold({**values, "namespaceObject": None}, check):
                return outcome
        except ExpressionFailed as exc:
            self._fails(outcome.denials, str(exc), 0)
            return outcome
        self._validate(outcome, values, Budget(budget, check))
        self._annotate(outcome, values, Budget(budget, check))
        return outcome

    def _fails(self, found: list[Denial], message: str, index: int) -> None:
        if self.fail:
            found.append(Denial(message, "", index))

    def _with_variables(self, values: Object, budget: Budget) -> dict[str, Any]:
        known: dict[str, Any] = dict(values)
        known["variables"] = LazyVariables(self._variables, lambda expression: expression.run(known, budget))
        return known

    def _validate(self, outcome: Outcome, given: Object, budget: Budget) -> None:
        values = self._with_variables(given, budget)
        for index, validation in enumerate(self._validations):
            try:
                if validation.expression.run(values, budget) is not True:
                    outcome.denials.append(validation.denial(index, values, budget))
            except BudgetSpent as exc:
                outcome.denials.clear()
                self._fails(outcome.denials, str(exc), index)
                return
            except ExpressionFailed as exc:
                self._fails(outcome.denials, str(exc), index)

    def _annotate(self, outcome: Outcome, given: Object, budget: Budget) -> None:
        values = self._with_variables(given, budget)
        for key, expression in self._notes:
            try:
                value = expression.run(values, budget)
            except ExpressionFailed as exc:
                self._fails(outcome.failures, str(exc), 0)
                continue
            if isinstance(value, str) and value.strip():
                outcome.annotations.append((key, value.strip()[:_LONGEST_VALUE]))
            elif value is not None and not isinstance(value, str):
                outcome.failures.append(Denial(_unsupported(expression.text, value)))


def _unsupported(text: str, value: Any) -> str:
    return (
        f"valueExpression '{text}' resulted in unsupported return type: {type_name(value)}. "
        "Return type must be either string or null."
    )


def param_kind(given: Object | None) -> GroupVersionKind | None:
    if given is None:
        return None
    return GroupVersionKind.of(given.get("apiVersion") or "", given.get("kind") or "")


def variables(
    given: Sequence[Object], *, params: bool
) -> tuple[Mapping[str, Expression], Mapping[str, Type]]:
    """(variables, what expressions may use). Each variable may use those before it."""
    types: dict[str, Type] = {}
    found: dict[str, Expression] = {}
    for item in given:
        name = item.get("name") or ""
        found[name] = Expression(item.get("expression") or "", declared(params=params, variables=types))
        types[name] = found[name].result
    return found, declared(params=params, variables=types)


def _validation(item: Object, known: Mapping[str, Type]) -> _Validation:
    words = item.get("messageExpression")
    without = {name: kind for name, kind in known.items() if name != "authorizer"}
    return _Validation(
        Expression(item.get("expression") or "", known, (BOOL,)),
        item.get("message") or "",
        item.get("reason") or INVALID,
        Expression(words, without, (STRING,)) if words else None,
    )


class Binding:
    """A ValidatingAdmissionPolicyBinding."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.policy: str = spec.get("policyName") or ""
        self.actions: Sequence[str] = spec.get("validationActions") or ()
        self.param_ref: Object | None = spec.get("paramRef")
        match = spec.get("matchResources")
        self.criteria = None if match is None else Criteria.of_policy(match)
