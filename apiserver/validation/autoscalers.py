"""Rules for HorizontalPodAutoscalers, in the form of autoscaling/v2 (``ValidateHorizontalPodAutoscaler``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from apiserver.api.quantity import ZERO, canonical, parse_quantity
from apiserver.validation.common import label_selector

Object = dict[str, Any]
_SPEC: Final = Path("spec")
_SOURCES: Final = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
_LONGEST_WINDOW: Final = 3600
_LONGEST_PERIOD: Final = 1800
_SELECT_POLICIES: Final = ("Disabled", "Max", "Min")
_POLICY_TYPES: Final = ("Percent", "Pods")
_TARGETS: Final = ("Utilization", "Value", "AverageValue")


def validate_autoscaler(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    spec = obj.get("spec") or {}
    low, high, path = spec.get("minReplicas"), spec.get("maxReplicas") or 0, _SPEC.child("maxReplicas")
    found: list[FieldError] = []
    if low is not None and low < 1:
        text = "must be greater than or equal to 1"
        found.append(invalid(_SPEC.child("minReplicas"), low, text))
    if high < 1:
        found.append(required(path, "must be set and greater than 0"))
    if low is not None and high < low:
        found.append(invalid(path, high, "must be greater than or equal to `minReplicas`"))
    found += _reference(spec.get("scaleTargetRef") or {}, _SPEC.child("scaleTargetRef"))
    for at, metric in enumerate(spec.get("metrics") or ()):
        found += _metric(metric, _SPEC.child("metrics").index(at))
    for field in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(field)
        found += _scaling(rules, _SPEC.child("behavior", field)) if rules is not None else []
    return found


def _scaling(rules: Object, path: Path) -> list[FieldError]:
    window, policy, found = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy"), []
    where = path.child("stabilizationWindowSeconds")
    if window is not None and window < 0:
        found.append(invalid(where, window, "must be greater than or equal to zero"))
    if window is not None and window > _LONGEST_WINDOW:
        found.append(invalid(where, window, f"must be less than or equal to {_LONGEST_WINDOW}"))
    if policy is not None and policy not in _SELECT_POLICIES:
        found.append(not_supported(path.child("selectPolicy"), policy, _SELECT_POLICIES))
    policies = rules.get("policies") or ()
    if not policies:
        found.append(required(path.child("policies"), "must specify at least one Policy"))
    for at, entry in enumerate(policies):
        found += _scaling_policy(entry, path.child("policies").index(at))
    return found


def _scaling_policy(policy: Object, path: Path) -> list[FieldError]:
    kind, period, found = policy.get("type") or "", policy.get("periodSeconds") or 0, []
    if kind not in _POLICY_TYPES:
        found.append(not_supported(path.child("type"), kind, _POLICY_TYPES))
    for field in ("value", "periodSeconds"):
        value = policy.get(field) or 0
        if value <= 0:
            found.append(invalid(path.child(field), value, "must be greater than zero"))
    if period > _LONGEST_PERIOD:
        text = f"must be less than or equal to {_LONGEST_PERIOD}"
        found.append(invalid(path.child("periodSeconds"), period, text))
    return found


def _reference(reference: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if not value:
            found.append(required(path.child(field)))
        else:
            found += [invalid(path.child(field), value, text) for text in names.check_path_segment(value)]
    version = reference.get("apiVersion") or ""
    if not version:
        found.append(invalid(path.child("apiVersion"), version, "apiVersion must specify API group"))
    elif version.count("/") > 1:
        text = f"unexpected GroupVersion string: {version}"
        found.append(invalid(path.child("apiVersion"), version, text))
    return found


def _metric(metric: Object, path: Path) -> list[FieldError]:
    kind = metric.get("type") or ""
    if not kind:
        return [required(path.child("type"), "must specify a metric source type")]
    if kind not in _SOURCES:
        return [not_supported(path.child("type"), kind, _SOURCES)] * 2  # as the original tells it
    field = _SOURCES[kind]
    others = [other for other in _SOURCES.values() if other != field and metric.get(other) is not None]
    text = "must populate the given metric source only"
    found = [forbidden(path.child(other), text) for other in sorted(others)]
    if metric.get(field) is None:
        text = "must populate information for the given metric source"
        return [required(path.child(field), text), *found]
    return _source(kind, metric[field], path.child(field)) + found


def _source(kind: str, source: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource"):
        if not source.get("name"):
            found.append(required(path.child("name"), "must specify a resource name"))
        if kind == "ContainerResource" and not source.get("container"):
            found.append(required(path.child("container"), "must specify a container"))
    else:
        found += _identifier(source.get("metric") or {}, path.child("metric"))
    if kind == "Object":
        found += _reference(source.get("describedObject") or {}, path.child("describedObject"))
    found += _target(target, path.child("target"))
    return found + _needed(kind, target, path.child("target"))


def _identifier(metric: Object, path: Path) -> list[FieldError]:
    name, found = metric.get("name") or "", []
    if not name:
        found.append(required(path.child("name"), "must specify a metric name"))
    found += [invalid(path.child("name"), name, text) for text in names.check_path_segment(name)]
    return found + label_selector(metric.get("selector"), path.child("selector"))


def _target(target: Object, path: Path) -> list[FieldError]:
    kind, found = target.get("type") or "", []
    if not kind:
        found.append(required(path.child("type"), "must specify a metric target type"))
    elif kind not in _TARGETS:
        found.append(invalid(path.child("type"), kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and parse_quantity(amount) <= ZERO:
            found.append(invalid(path.child(field), canonical(amount), "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        found.append(invalid(path.child("averageUtilization"), share, "must be greater than 0"))
    return found


def _needed(kind: str, target: Object, path: Path) -> list[FieldError]:
    """What this kind of metric compares with."""
    share, average, value = (target.get(f) for f in ("averageUtilization", "averageValue", "value"))
    if kind in ("Resource", "ContainerResource"):
        if share is None and average is None:
            text = "must set either a target raw value or a target utilization"
            return [required(path.child("averageUtilization"), text)]
        if share is not None and average is not None:
            text = "may not set both a target raw value and a target utilization"
            return [forbidden(path.child("averageValue"), text)]
    elif kind == "Pods" and average is None:
        return [required(path.child("averageValue"), "must specify a positive target averageValue")]
    elif kind in ("Object", "External") and average is None and value is None:
        wanted = "value or averageValue" if kind == "Object" else "value for metric or a per-pod target"
        return [required(path.child("averageValue"), f"must set either a target {wanted}")]
    elif kind == "External" and average is not None and value is not None:
        text = "may not set both a target value for metric and a per-pod target"
        return [forbidden(path.child("value"), text)]
    return []
