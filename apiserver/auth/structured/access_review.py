"""(P) A question of rights as the spec of a SubjectAccessReview: for webhooks, and for the expressions before them.

Source: ``plugin/pkg/authorizer/webhook`` and ``pkg/authorization/cel``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apiserver.api.fields import FieldSelectorError, parse_field_selector
from apiserver.api.labels import DOES_NOT_EXIST, EXISTS, IN, NOT_EQUALS, NOT_IN, SelectorError, parse_selector
from apiserver.auth.rbac import Attributes
from apiserver.auth.structured import expressions
from apiserver.auth.structured.expressions import Check, ExpressionFault

Object = dict[str, Any]
_NAMES: Final = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
_OPERATORS: Final[Mapping[str, str]] = {
    IN: "In",
    "=": "In",
    "==": "In",
    NOT_IN: "NotIn",
    NOT_EQUALS: "NotIn",
    EXISTS: "Exists",
    DOES_NOT_EXIST: "DoesNotExist",
}
_MOST: Final = 10_000
"""Characters of what the client chooses that a remembered answer may depend on."""


def spec_of(asked: Attributes) -> Object:
    """Empty fields are left out, as Go does."""
    user = asked.user
    who = {"user": user.name, "groups": list(user.groups), "extra": user.extra, "uid": user.uid}
    spec: Object = {}
    if asked.path:
        spec["nonResourceAttributes"] = _given({"path": asked.path, "verb": asked.verb})
    else:
        spec["resourceAttributes"] = {**_given(_attributes(asked)), **_selectors(asked)}
    return {**spec, **_given(who)}


def _given(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value}


def _attributes(asked: Attributes) -> Object:
    return {name: getattr(asked, name) for name in _NAMES}


def _selectors(asked: Attributes) -> Object:
    """What of the selectors can be read: they only narrow the question."""
    found = {"fieldSelector": _fields(asked.field_selector), "labelSelector": _labels(asked.label_selector)}
    return {name: {"requirements": listed} for name, listed in found.items() if listed}


def _fields(text: str) -> list[Object]:
    try:
        requirements = parse_field_selector(text).requirements if text else ()
    except FieldSelectorError:
        return []
    return [
        {"key": item.field, "operator": "In" if item.operator == "=" else "NotIn", "values": [item.value]}
        for item in requirements
    ]


def _labels(text: str) -> list[Object]:
    try:
        requirements = parse_selector(text).requirements if text else ()
    except SelectorError:
        return []
    return [
        _given({"key": item.key, "operator": _OPERATORS[item.operator], "values": sorted(item.values)})
        for item in requirements
        if item.operator in _OPERATORS
    ]


def may_be_remembered(asked: Attributes) -> bool:
    """Questions that a client makes very long are not, lest they fill the memory."""
    return sum(len(getattr(asked, name)) for name in (*_NAMES, "path")) < _MOST


def matches(conditions: Sequence[str], asked: Attributes, check: Check | None = None) -> bool:
    """Whether all hold. One that is false decides, whatever else fails. Raises ExpressionFault."""
    request, faults = _request(asked), list[str]()
    for text in conditions:
        try:
            if expressions.run(text, "request", request, check) is not True:
                return False
        except ExpressionFault as exc:
            faults.append(f"cel evaluation error: {exc}")
    if faults:
        raise ExpressionFault(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return True


def _request(asked: Attributes) -> Object:
    """With every field of a user and of a resource, also those that are empty."""
    user = asked.user
    request: Object = {
        "user": user.name,
        "groups": list(user.groups),
        "uid": user.uid,
        "extra": user.extra,
    }
    if asked.path:
        return {**request, "nonResourceAttributes": {"path": asked.path, "verb": asked.verb}}
    return {**request, "resourceAttributes": {**_attributes(asked), **_selectors(asked)}}
