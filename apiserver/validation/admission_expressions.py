"""Expressions of admission policies and webhook configurations: they compile, to what is wanted there. Pure.

On top of the rules of their structure (``admission_policies``, ``webhooks``). Match conditions that an update does not
touch are not compiled again. Source:
``pkg/apis/admissionregistration/validation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apiserver.admission.expressions import VALUE_TYPES, Expression, declared
from apiserver.admission.policies.mutation import APPLY, mutation_of
from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.cel.types import BOOL, STRING, Type
from apiserver.validation import admission_policies, webhooks

Object = dict[str, Any]
Options = Mapping[str, Any]
Known = Mapping[str, Type]


def validate_policy(obj: Object, options: Options) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    found = admission_policies.validate_policy(obj, options)
    known, wrong = _common(spec, path)
    found += wrong
    for at, check in enumerate(spec.get("validations") or ()):
        found += _validation(check, known, path.child("validations").index(at))
    for at, note in enumerate(spec.get("auditAnnotations") or ()):
        where = path.child("auditAnnotations").index(at).child("valueExpression")
        found += _compiled(note.get("valueExpression"), known, VALUE_TYPES, where)[1]
    return found


def validate_mutating_policy(obj: Object, options: Options) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    found = admission_policies.validate_mutating_policy(obj, options)
    known, wrong = _common(spec, path)
    found += wrong
    for at, given in enumerate(spec.get("mutations") or ()):
        field = "applyConfiguration" if given.get("patchType") == APPLY else "jsonPatch"
        where = path.child("mutations").index(at).child(field).child("expression")
        expression = mutation_of(given, known).expression
        if expression.text.strip() and expression.failure:
            found.append(invalid(where, expression.text, expression.failure))
    return found


def _common(spec: Object, path: Path) -> tuple[Known, list[FieldError]]:
    """(what the expressions of a policy may use, what is wrong with its conditions and variables)"""
    params = spec.get("paramKind") is not None
    found = _conditions(spec.get("matchConditions"), declared(params=params), path.child("matchConditions"))
    types: dict[str, Type] = {}
    for at, variable in enumerate(spec.get("variables") or ()):
        known = declared(params=params, variables=types)
        where = path.child("variables").index(at).child("expression")
        types[variable.get("name") or ""], wrong = _compiled(variable.get("expression"), known, (), where)
        found += wrong
    return declared(params=params, variables=types if types else None), found


def validate_new_webhooks(obj: Object, options: Options) -> list[FieldError]:
    return webhooks.validate_new_webhooks(obj, options) + _of_webhooks(obj)


def validate_webhooks_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    found = webhooks.validate_webhooks_update(new, old, options)
    return found if _all_conditions(new) == _all_conditions(old) else found + _of_webhooks(new)


def _all_conditions(obj: Object) -> list[Any]:
    return [hook.get("matchConditions") or [] for hook in obj.get("webhooks") or ()]


def _of_webhooks(obj: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for at, conditions in enumerate(_all_conditions(obj)):
        path = Path("webhooks").index(at).child("matchConditions")
        found += _conditions(conditions, declared(params=False), path)
    return found


def _conditions(conditions: Iterable[Object] | None, known: Known, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, condition in enumerate(conditions or ()):
        text = (condition.get("expression") or "").strip()
        found += _compiled(text, known, (BOOL,), path.index(at).child("expression"))[1]
    return found


def _validation(check: Object, known: Known, path: Path) -> list[FieldError]:
    without = {name: kind for name, kind in known.items() if name != "authorizer"}
    _, found = _compiled(check.get("expression"), known, (BOOL,), path.child("expression"))
    words, where = check.get("messageExpression"), path.child("messageExpression")
    return found + _compiled(words, without, (STRING,), where)[1]


def _compiled(
    text: str | None, known: Known, wanted: Sequence[Type], path: Path
) -> tuple[Type, list[FieldError]]:
    """(type, what is wrong). That an expression is missing is said elsewhere."""
    expression = Expression(text or "", known, wanted)
    if not (text or "").strip() or not expression.failure:
        return expression.result, []
    return expression.result, [invalid(path, text, expression.failure)]
