"""Rules for LimitRanges and ResourceQuotas (``ValidateLimitRange``, ``ValidateResourceQuota``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, duplicate, forbidden, invalid, required
from apiserver.api.quantity import canonical, parse_quantity
from apiserver.validation.common import non_negative_quantity
from apiserver.validation.resources import resource_name

Object = dict[str, Any]
Options = Mapping[str, Any]
_LIMITS: Final = Path("spec").child("limits")
_HARD: Final = Path("spec").child("hard")
_TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")
_COMPUTE: Final = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "requests.", "limits.")
    for name in ("cpu", "memory", "ephemeral-storage")
)
_COUNTED: Final = frozenset(
    (
        *("requests.storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets"),
        *("persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers"),
    )
)
_OPPOSITE: Final = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_SCOPES: Final = (
    *(scope for pair in _OPPOSITE for scope in pair),
    "PriorityClass",
    "CrossNamespacePodAffinity",
)
_OF_BEST_EFFORT: Final = frozenset({"pods"})


def validate_limit_range(obj: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = _LIMITS.index(at), limit.get("type") or ""
        if kind not in _TYPES and "/" not in kind:
            text = "must be a standard limit type or fully qualified"
            found.append(invalid(path.child("type"), kind, text))
        found += [invalid(path.child("type"), kind, text) for text in names.check_qualified_name(kind)]
        if kind in seen:
            found.append(duplicate(path.child("type"), kind))
        seen.add(kind)
        found += _limit(limit, kind, path)
    return found


def _limit(limit: Object, kind: str, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if kind == "Pod":
        text = "may not be specified when `type` is 'Pod'"
        found += [forbidden(path.child(f), text) for f in ("default", "defaultRequest") if limit.get(f)]
    if kind == "PersistentVolumeClaim" and not any(
        "storage" in (limit.get(field) or {}) for field in ("min", "max")
    ):
        text = "either minimum or maximum storage value is required, but neither was provided"
        found.append(required(path.child("limits"), text))
    fields = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
    for name in sorted({name for field in fields for name in limit.get(field) or {}}):
        found += _ordered(name, {field: (limit.get(field) or {}).get(name) for field in fields}, path)
    return found


def _ordered(name: str, given: Mapping[str, Any], path: Path) -> list[FieldError]:
    """min <= defaultRequest <= default <= max. Values and names are paired as the original pairs them."""
    amounts = {field: parse_quantity(value) for field, value in given.items() if value is not None}
    found: list[FieldError] = []
    for low, low_text, high, high_text, where, shown in _ORDER:
        if low in amounts and high in amounts and amounts[low] > amounts[high]:
            text = f"{low_text} value {amounts[low]} is greater than {high_text} value {amounts[high]}"
            found.append(invalid(path.child(where).key(name), str(amounts[shown]), text))
    ratio = amounts.get("maxLimitRequestRatio")
    if ratio is not None and ratio < parse_quantity(1):
        where_ratio = path.child("maxLimitRequestRatio").key(name)
        found.append(invalid(where_ratio, str(ratio), f"ratio {ratio} is less than 1"))
    return found


_ORDER: Final = (
    # what is too large, its name, than what, its name, the field told, the value told
    ("min", "min", "max", "max", "min", "min"),
    ("min", "min", "defaultRequest", "default request", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request", "max", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request", "default", "default", "defaultRequest", "defaultRequest"),
    ("min", "min", "default", "default", "default", "min"),
    ("default", "default", "max", "max", "default", "max"),
)


def validate_quota(obj: Object, options: Options) -> list[FieldError]:
    spec, found = obj.get("spec") or {}, []
    for name, amount in sorted((spec.get("hard") or {}).items()):
        path = _HARD.key(name)
        found += _quota_name(name, path) + non_negative_quantity(amount, path)
        if name in _COUNTED - {"requests.storage"} and parse_quantity(amount).milli_value() % 1000:
            found.append(invalid(path, canonical(amount), "must be an integer"))
    return found + _scopes(spec)


def _quota_name(name: str, path: Path) -> list[FieldError]:
    known = name in _COMPUTE | _COUNTED or name.startswith(("hugepages-", "requests.hugepages-"))
    if known:
        return []
    found = resource_name(name, path)
    if "/" not in name:
        found.append(invalid(path, name, "must be a standard resource for quota"))
    return found


def _scopes(spec: Object) -> list[FieldError]:
    scopes, path = spec.get("scopes") or (), Path("spec").child("scopes")
    found: list[FieldError] = []
    if not scopes:
        return found
    for scope in scopes:
        if scope not in _SCOPES:
            found.append(invalid(path, list(scopes), "unsupported scope"))
        for name in spec.get("hard") or ():
            if not _applies(scope, name):
                found.append(invalid(path, list(scopes), "unsupported scope applied to resource"))
    if any(set(pair) <= set(scopes) for pair in _OPPOSITE):
        found.append(invalid(path, list(scopes), "conflicting scopes"))
    return found


def _applies(scope: str, name: str) -> bool:
    if scope == "BestEffort":
        return name in _OF_BEST_EFFORT
    return scope not in _SCOPES or name in _COMPUTE | {"pods"} or "/" in name


def validate_quota_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = ((obj.get("spec") or {}).get("scopes") or [] for obj in (new, old))
    if set(mine) == set(theirs):
        return []
    return [invalid(Path("spec").child("scopes"), list(mine), "field is immutable")]
