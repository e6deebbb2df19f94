"""(P) Type checking of a ValidatingAdmissionPolicy: its expressions against the types that its rules name.

What it finds are warnings, told in the policy's status; they change nothing of what the policy does. Rules with
wildcards and subresources are left out, and of the types at most ten. Source: apiserver
``pkg/admission/plugin/policy/validating/typechecking.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from apiserver.admission.authorizing import FUNCTIONS
from apiserver.admission.expressions import declared
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.cel.environment import Environment
from apiserver.cel.syntax import CompileError
from apiserver.cel.types import DYN, Type

Object = Mapping[str, Any]
KindOf = Callable[[GroupVersionResource], GroupVersionKind | None]
TypeOf = Callable[[GroupVersionKind], Type | None]
"""None: there is no schema of the kind."""
_MOST_TYPES: Final = 10
_EXPRESSIONS: Final = ("expression", "messageExpression")


class TypeChecker:
    def __init__(self, kind_of: KindOf, type_of: TypeOf) -> None:
        self._kind_of = kind_of
        self._type_of = type_of

    def warnings(self, policy: Object) -> list[dict[str, str]]:
        """The ``expressionWarnings`` of the status."""
        spec = policy.get("spec") or {}
        types = self._types(spec)
        params = self._params(spec.get("paramKind"))
        variables = spec.get("variables") or ()
        known = [(gvk, _declared(kind, params, variables)) for gvk, kind in types]
        found = []
        for at, check in enumerate(spec.get("validations") or ()):
            for field in _EXPRESSIONS:
                text = check.get(field) or ""
                warning = _warning(text, known) if text or field == "expression" else ""
                if warning:
                    found.append({"fieldRef": f"spec.validations[{at}].{field}", "warning": warning})
        return found

    def _types(self, spec: Object) -> list[tuple[GroupVersionKind, Type]]:
        rules = (spec.get("matchConstraints") or {}).get("resourceRules") or ()
        kinds: set[GroupVersionKind] = set()
        for rule in rules:
            count = 0
            for gvr in _resources(rule):
                gvk = self._kind_of(gvr)
                if gvk is not None and count < _MOST_TYPES:
                    kinds.add(gvk)
                    count += 1
            if count == _MOST_TYPES:
                break
        typed = [(gvk, self._type_of(gvk)) for gvk in sorted(kinds)]
        return [(gvk, kind) for gvk, kind in typed if kind is not None]

    def _params(self, given: Object | None) -> Type | None:
        if given is None:
            return None
        return self._type_of(GroupVersionKind.of(given.get("apiVersion") or "", given.get("kind") or ""))


def _resources(rule: Object) -> Iterator[GroupVersionResource]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if any("*" in text for text in (*groups, *versions)):
        return
    plurals = [text for text in rule.get("resources") or () if not set(text) & {"*", "/"}]
    for group in sorted(groups):
        for version in sorted(versions):
            for plural in sorted(plurals):
                yield GroupVersionResource(group, version, plural)


def _declared(kind: Type, params: Type | None, variables: Sequence[Object]) -> dict[str, Type]:
    """What expressions may use, with the types of one kind. A variable that does not compile may be anything."""
    types: dict[str, Type] = {}
    for item in variables:
        known = _known(kind, params, types)
        try:
            found = Environment(known, FUNCTIONS).compile(item.get("expression") or "").result
        except CompileError:
            found = DYN
        types[item.get("name") or ""] = found
    return _known(kind, params, types)


def _known(kind: Type, params: Type | None, variables: Mapping[str, Type]) -> dict[str, Type]:
    known = declared(params=params is not None, variables=variables)
    known |= {"object": kind, "oldObject": kind}
    return known if params is None else {**known, "params": params}


def _warning(text: str, known: Sequence[tuple[GroupVersionKind, Mapping[str, Type]]]) -> str:
    """Empty if the expression fits all types."""
    found = []
    for gvk, variables in known:
        try:
            Environment(variables, FUNCTIONS).compile(text)
        except CompileError as exc:
            found.append(f"{gvk}: {exc}\n")
    return "\n".join(found)
