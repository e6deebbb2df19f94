"""Where a pod may run: tolerations, affinity, spread constraints, gates. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.common import label_selector
from apiserver.validation.objectmeta import validate_labels

Object = dict[str, Any]
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT: Final = "must be in the range 1-100"
_EMPTY: Final = "can not be empty"
_UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION: Final = ("Honor", "Ignore")


def validate_scheduling(spec: Object, path: Path) -> list[FieldError]:
    found = validate_labels(spec.get("nodeSelector") or {}, path.child("nodeSelector"))
    found += validate_tolerations(spec.get("tolerations") or (), path.child("tolerations"))
    if spec.get("affinity"):
        found += _affinity(spec["affinity"], path.child("affinity"))
    found += _spread(spec.get("topologySpreadConstraints") or (), path.child("topologySpreadConstraints"))
    return found + _gates(spec.get("schedulingGates") or (), path.child("schedulingGates"))


def validate_tolerations(tolerations: Iterable[Object], path: Path) -> list[FieldError]:
    return [
        error
        for at, toleration in enumerate(tolerations)
        for error in _toleration(toleration, path.index(at))
    ]


def _toleration(toleration: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if key:
        found += [invalid(path.child("key"), key, text) for text in names.check_qualified_name(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        found.append(invalid(path.child("operator"), toleration.get("operator") or "", text))
    effect = toleration.get("effect") or ""
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        found.append(invalid(path.child("effect"), effect, text))
    if operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        found.append(invalid(path.child("operator"), toleration.get("value"), text))
    if operator not in ("Exists", "Equal"):
        found.append(not_supported(path.child("operator"), operator, ("Equal", "Exists")))
    if effect and effect not in _EFFECTS:
        found.append(not_supported(path.child("effect"), effect, _EFFECTS))
    return found


def _affinity(affinity: Object, path: Path) -> list[FieldError]:
    found = _node_affinity(affinity.get("nodeAffinity") or {}, path.child("nodeAffinity"))
    for field in ("podAffinity", "podAntiAffinity"):
        found += _pod_affinity(affinity.get(field) or {}, path.child(field))
    return found


def _node_affinity(affinity: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if affinity.get(_REQUIRED) is not None:
        found += node_selector(affinity[_REQUIRED], path.child(_REQUIRED))
    return found + _weighted(affinity, path, "preference", _node_term)


def _weighted(
    affinity: Object, path: Path, field: str, check: Callable[[Object, Path], list[FieldError]]
) -> list[FieldError]:
    found: list[FieldError] = []
    for at, term in enumerate(affinity.get(_PREFERRED) or ()):
        where, weight = path.child(_PREFERRED).index(at), term.get("weight") or 0
        if not 1 <= weight <= 100:
            found.append(invalid(where.child("weight"), weight, _WEIGHT))
        found += check(term.get(field) or {}, where.child(field))
    return found


def node_selector(selector: Object, path: Path) -> list[FieldError]:
    terms, where = selector.get("nodeSelectorTerms") or (), path.child("nodeSelectorTerms")
    if not terms:
        return [required(where, "must have at least one node selector term")]
    return [error for at, term in enumerate(terms) for error in _node_term(term, where.index(at))]


def _node_term(term: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, expression in enumerate(term.get("matchExpressions") or ()):
        where, key = path.child("matchExpressions").index(at), expression.get("key") or ""
        found += _node_operator(expression, where)
        found += [invalid(where.child("key"), key, text) for text in names.check_qualified_name(key)]
    for at, expression in enumerate(term.get("matchFields") or ()):
        found += _node_field(expression, path.child("matchFields").index(at))
    return found


def _node_operator(expression: Object, path: Path) -> list[FieldError]:
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    where = path.child("values")
    match operator:
        case "In" | "NotIn":
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            return [] if values else [required(where, text)]
        case "Exists" | "DoesNotExist":
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            return [forbidden(where, text)] if values else []
        case "Gt" | "Lt":
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            return [] if len(values) == 1 else [required(where, text)]
    return [invalid(path.child("operator"), operator, "not a valid selector operator")]


def _node_field(expression: Object, path: Path) -> list[FieldError]:
    key, values = expression.get("key") or "", expression.get("values") or ()
    found: list[FieldError] = []
    if expression.get("operator") not in ("In", "NotIn"):
        text = "not a valid selector operator"
        found.append(invalid(path.child("operator"), expression.get("operator") or "", text))
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(required(path.child("values"), text))
    if key != "metadata.name":
        found.append(invalid(path.child("key"), key, "not a valid field selector key"))
    return found


def _pod_affinity(affinity: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, term in enumerate(affinity.get(_REQUIRED) or ()):
        found += _pod_term(term, path.child(_REQUIRED).index(at))
    return found + _weighted(affinity, path, "podAffinityTerm", _pod_term)


def _pod_term(term: Object, path: Path) -> list[FieldError]:
    found = label_selector(term.get("labelSelector"), path.child("labelSelector"))
    found += label_selector(term.get("namespaceSelector"), path.child("namespaceSelector"))
    for name in term.get("namespaces") or ():
        found += [invalid(path.child("namespace"), name, text) for text in names.check_dns1123_label(name)]
    key, where = term.get("topologyKey") or "", path.child("topologyKey")
    if not key:
        found.append(required(where, _EMPTY))
    return found + [invalid(where, key, text) for text in names.check_qualified_name(key)]


def _spread(constraints: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for at, constraint in enumerate(constraints):
        where, key = path.index(at), constraint.get("topologyKey") or ""
        action, skew = constraint.get("whenUnsatisfiable") or "", constraint.get("maxSkew") or 0
        if skew <= 0:
            found.append(invalid(where.child("maxSkew"), skew, "must be greater than zero"))
        if not key:
            found.append(required(where.child("topologyKey"), _EMPTY))
        else:
            texts = names.check_qualified_name(key)
            found += [invalid(where.child("topologyKey"), key, text) for text in texts]
        if action not in _UNSATISFIABLE:
            found.append(not_supported(where.child("whenUnsatisfiable"), action, _UNSATISFIABLE))
        if (key, action) in seen:
            found.append(duplicate(where.child("{topologyKey, whenUnsatisfiable}"), f"{{{key}, {action}}}"))
        seen.add((key, action))
        found += _spread_options(constraint, action, where)
    return found


def _spread_options(constraint: Object, action: str, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    domains = constraint.get("minDomains")
    if domains is not None and domains <= 0:
        found.append(invalid(path.child("minDomains"), domains, "must be greater than zero"))
    if domains is not None and action != "DoNotSchedule":
        text = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"
        found.append(invalid(path.child("minDomains"), domains, text))
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        value = constraint.get(field)
        if value is not None and value not in _INCLUSION:
            found.append(not_supported(path.child(field), value, _INCLUSION))
    return found + label_selector(constraint.get("labelSelector"), path.child("labelSelector"))


def _gates(gates: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, gate in enumerate(gates):
        name, where = gate.get("name") or "", path.index(at)
        if not name:
            found.append(required(where, "must not be empty"))
        else:
            found += [invalid(where, name, text) for text in names.check_qualified_name(name)]
        if name in seen:
            found.append(duplicate(where, name))
        seen.add(name)
    return found
