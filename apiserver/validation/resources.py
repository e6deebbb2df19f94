"""Resource requests and limits of a container (``ValidateContainerResourceRequirements``). Pure."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, required
from apiserver.api.quantity import canonical, parse_quantity
from apiserver.validation.common import non_negative_quantity

Object = dict[str, Any]
_STANDARD: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_HUGE: Final = "hugepages-"
_DEFAULT_NAMESPACE: Final = "kubernetes.io/"


def validate_resources(resources: Object, path: Path) -> list[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found: list[FieldError] = []
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = path.child(field).key(name)
            found += _name(name, where) + quantity_of(name, amount, where)
    found += [error for name in requests for error in _within(name, limits, requests, path)]
    amounts = {**limits, **requests}
    if any(name.startswith(_HUGE) for name in amounts) and not {"cpu", "memory"} & set(amounts):
        found.append(forbidden(path, "HugePages require cpu or memory"))
    return found


def _name(name: str, path: Path) -> list[FieldError]:
    found = resource_name(name, path)
    if "/" not in name and not _is_standard(name):
        found.append(invalid(path, name, "must be a standard resource for containers"))
    return found


def resource_name(name: str, path: Path) -> list[FieldError]:
    """``ValidateResourceName``: qualified, and with a domain unless it is a standard one."""
    found = [invalid(path, name, text) for text in names.check_qualified_name(name)]
    if found:
        return found
    if "/" not in name and not _is_standard(name) and name not in _OF_QUOTA:
        found.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    return found


_OF_QUOTA: Final = frozenset({"storage", "pods", "services", "replicationcontrollers", "resourcequotas"})


def quantity_of(name: str, amount: Any, path: Path) -> list[FieldError]:
    """Extended resources come in whole numbers."""
    found = non_negative_quantity(amount, path)
    if is_extended(name) and parse_quantity(amount).milli_value() % 1000:
        found.append(invalid(path, canonical(amount), "must be an integer"))
    return found


def _is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith(_HUGE)


def is_extended(name: str) -> bool:
    """Of a domain that is not Kubernetes' own."""
    return "/" in name and _DEFAULT_NAMESPACE not in name


def _within(name: str, limits: Object, requests: Object, path: Path) -> list[FieldError]:
    request, limit = parse_quantity(requests[name]), limits.get(name)
    overcommits = not is_extended(name) and not name.startswith(_HUGE)
    where = path.child("requests")
    if limit is None:
        text = "Limit must be set for non overcommitable resources"
        return [] if overcommits else [required(path.child("limits"), text)]
    limit_text = canonical(limit)
    if overcommits and request > parse_quantity(limit):
        text = f"must be less than or equal to {name} limit of {limit_text}"
        return [invalid(where, canonical(requests[name]), text)]
    if not overcommits and request != parse_quantity(limit):
        return [invalid(where, canonical(requests[name]), f"must be equal to {name} limit of {limit_text}")]
    return []
