"""(P) A MutatingAdmissionPolicy, compiled, and what its mutations make of one object.

Fed by the plugin with the values of the variables. A mutation is an expression that results in an apply configuration,
which is merged into the object as by server-side apply but owned by nobody, or in a JSON patch. Lists, maps and
structures that are owned as a whole may not be applied: what is not said of them would be lost. Source: apiserver
``pkg/admission/plugin/policy/mutating``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.admission.expressions import (
    BUDGET,
    Budget,
    Conditions,
    Expression,
    ExpressionFailed,
    LazyVariables,
    declared,
)
from apiserver.admission.matching import Criteria
from apiserver.admission.policies.construction import (
    MUTATION_FUNCTIONS,
    OBJECT,
    PATCHES,
    TypeMismatch,
    check_names,
    plain,
    resolve,
)
from apiserver.admission.policies.policy import param_kind, variables
from apiserver.cel.evaluator import Check
from apiserver.cel.types import Type
from apiserver.cel.values import Made
from apiserver.patch import json_patch
from apiserver.patch.apply.atoms import Atom, Shape
from apiserver.patch.apply.atoms import resolve as resolved
from apiserver.patch.apply.merge import merge
from apiserver.patch.apply.typed import Untypable, require
from apiserver.patch.errors import BadPatch, CannotApply

Object = dict[str, Any]
APPLY: Final = "ApplyConfiguration"
_ATOMIC: Final = "may not mutate atomic arrays, maps or structs"


class MutationFailed(Exception):
    """The text is the original's."""


@dataclass(frozen=True, slots=True)
class Mutation:
    kind: str
    expression: Expression

    def patched(self, obj: Object, values: Mapping[str, Any], budget: Budget, atom: Atom) -> Object:
        """A new object; ``obj`` is not changed. ``atom``: how its type is owned. Raises MutationFailed."""
        try:
            value = self.expression.run(values, budget)
            return _applied(obj, value, atom) if self.kind == APPLY else _edited(obj, value)
        except (ExpressionFailed, TypeMismatch) as exc:
            raise MutationFailed(str(exc)) from exc


def mutation_of(given: Mapping[str, Any], known: Mapping[str, Type]) -> Mutation:
    kind = given.get("patchType") or ""
    wanted, field = (OBJECT, "applyConfiguration") if kind == APPLY else (PATCHES, "jsonPatch")
    text = (given.get(field) or {}).get("expression") or ""
    return Mutation(kind, Expression(text, known, (wanted,), MUTATION_FUNCTIONS, resolve))


class MutatingPolicy:
    """``fail``: the failurePolicy; ``again``: the reinvocationPolicy is IfNeeded."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.fail = spec.get("failurePolicy") != "Ignore"
        self.again = spec.get("reinvocationPolicy") == "IfNeeded"
        self.criteria = Criteria.of_policy(spec.get("matchConstraints") or {})
        self.param_kind = param_kind(spec.get("paramKind"))
        params = self.param_kind is not None
        self._variables, known = variables(spec.get("variables") or (), params=params)
        conditions = spec.get("matchConditions") or ()
        self._conditions = Conditions(conditions, declared(params=params), fail=self.fail)
        self.mutations: Sequence[Mutation] = [
            mutation_of(item, known) for item in spec.get("mutations") or ()
        ]

    def wants(self, values: Mapping[str, Any], check: Check | None = None) -> bool:
        """Whether the match conditions hold. Raises ExpressionFailed where failures count."""
        return self._conditions.hold({**values, "namespaceObject": None}, check)

    def mutate(
        self,
        mutation: Mutation,
        values: Mapping[str, Any],
        atom: Atom,
        check: Check | None = None,
        limit: int = BUDGET,
    ) -> Object:
        """``values``: those of all variables but ``variables``. Raises MutationFailed."""
        budget = Budget(limit, check)
        known: dict[str, Any] = dict(values)
        known["variables"] = LazyVariables(self._variables, lambda expression: expression.run(known, budget))
        return mutation.patched(values["object"], known, budget, atom)


def _applied(obj: Object, value: Any, atom: Atom) -> Object:
    if not isinstance(value, Made):
        raise MutationFailed("unsupported return type from ApplyConfiguration expression")
    check_names(value)
    patch = {**plain(value), "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    try:
        require(patch, atom)
    except Untypable as exc:
        text = f"error applying patch: failed to convert patch object to typed object: {exc}"
        raise MutationFailed(text) from exc
    found = _atomics(patch, atom, "")
    if found:
        text = f"error applying patch: invalid {APPLY}: {_ATOMIC}: {', '.join(found)}"
        raise MutationFailed(text)
    try:
        merged: Object = merge(obj, patch, atom)
    except Untypable as exc:
        raise MutationFailed(f"error applying patch: failed to merge patch: {exc}") from exc
    return merged


def _atomics(value: Any, atom: Atom, path: str) -> list[str]:
    """Paths of what is owned as a whole."""
    atom = resolved(atom, value)
    if not isinstance(value, dict | list) or atom.shape is not (
        Shape.MAP if isinstance(value, dict) else Shape.LIST
    ):
        return []
    found = [path] if atom.atomic else []
    if isinstance(value, dict):
        named = [
            (f"{path}.{name}", item, atom.fields[name]) for name, item in value.items() if name in atom.fields
        ]
    else:
        assert atom.item is not None
        named = [(f"{path}[{at}]", item, atom.item) for at, item in enumerate(value)]
    for where, item, inner in named:
        found += _atomics(item, inner, where)
    return found


def _edited(obj: Object, value: Any) -> Object:
    if not isinstance(value, list):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array")
    try:
        patched = json_patch.apply(obj, [_operation(item) for item in value])
    except json_patch.OperationTestFailed:
        return obj  # as if it had not been asked for
    except (BadPatch, CannotApply) as exc:
        raise MutationFailed(f"JSONPath: {exc}") from exc
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
        raise MutationFailed("JSONPath: the patched object is not an object with metadata")
    return patched


def _operation(item: Any) -> Object:
    if not isinstance(item, Made):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
    found = {"op": item.get("op", ""), "path": item.get("path", "")}
    if item.get("from"):
        found["from"] = item["from"]
    if "value" in item:
        if isinstance(item["value"], Made):
            check_names(item["value"])
        try:
            found["value"] = plain(item["value"])
        except TypeMismatch as exc:
            text = f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {exc}"
            raise MutationFailed(text) from exc
    return found


class MutatingBinding:
    """A MutatingAdmissionPolicyBinding."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.policy: str = spec.get("policyName") or ""
        self.param_ref: Mapping[str, Any] | None = spec.get("paramRef")
        match = spec.get("matchResources")
        self.criteria = None if match is None else Criteria.of_policy(match)
