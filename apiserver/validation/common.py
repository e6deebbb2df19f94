"""Small checks used by several kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from apiserver.api.intstr import is_percent, percentage
from apiserver.api.quantity import ZERO, parse_quantity
from apiserver.validation.objectmeta import IMMUTABLE, validate_labels

Object = dict[str, Any]
NON_NEGATIVE: Final = "must be greater than or equal to 0"
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def non_negative(value: Any, path: Path) -> list[FieldError]:
    if isinstance(value, int) and value < 0:
        return [invalid(path, value, NON_NEGATIVE)]
    return []


def immutable(new: Any, old: Any, path: Path) -> list[FieldError]:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def one_of(value: Any, allowed: Iterable[str], path: Path) -> list[FieldError]:
    choices = list(allowed)
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices)]


def supported(value: Any, allowed: tuple[str, ...], path: Path) -> list[FieldError]:
    """`one_of` for what the original lists in the order of its declaration."""
    if not value:
        return [required(path)]
    return [] if value in allowed else [not_supported(path, value, allowed, ordered=True)]


def label_selector(selector: Mapping[str, Any] | None, path: Path) -> list[FieldError]:
    if not selector:
        return []
    found = validate_labels(selector.get("matchLabels") or {}, path.child("matchLabels"))
    for at, expression in enumerate(selector.get("matchExpressions") or ()):
        found += _expression(expression, path.child("matchExpressions").index(at))
    return found


def _expression(expression: Mapping[str, Any], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            found.append(required(path.child("values"), text))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(forbidden(path.child("values"), text))
    else:
        found.append(invalid(path.child("operator"), operator, "not a valid selector operator"))
    key = expression.get("key") or ""
    found += [invalid(path.child("key"), key, text) for text in names.check_qualified_name(key)]
    for at, value in enumerate(values):
        where = path.child("values").index(at)
        found += [invalid(where, value, text) for text in names.check_label_value(value)]
    return found


def int_or_percent(value: Any, path: Path) -> list[FieldError]:
    if isinstance(value, str):
        return [invalid(path, value, text) for text in names.check_percent(value)]
    return non_negative(value, path)


def at_most_100_percent(value: Any, path: Path) -> list[FieldError]:
    if is_percent(value) and percentage(value) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def is_zero(value: Any) -> bool:
    """0 or 0%."""
    return value == 0 or (is_percent(value) and percentage(value) == 0)


def non_negative_quantity(value: Any, path: Path) -> list[FieldError]:
    if parse_quantity(value) < ZERO:
        return [invalid(path, str(value), NON_NEGATIVE)]
    return []


def config_keys(keys: Iterable[str], path: Path) -> list[FieldError]:
    return [invalid(path.key(key), key, text) for key in sorted(keys) for text in names.check_config_key(key)]
