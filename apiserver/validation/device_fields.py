"""What devices, claims and slices have in common: names, attributes, lists of limited size, configurations. Pure.

Source: ``pkg/apis/resource/validation``. Whether a CEL selector compiles is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from apiserver.api import codec, names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from apiserver.validation.domains import complaints, driver, qualified, subdomain

Object = dict[str, Any]
Check = Callable[[Any, Path], list[FieldError]]

MAX_SELECTORS: Final = 32
MAX_CONFIGS: Final = 32
_MAX_EXPRESSION: Final = 10 * 1024
_MAX_PARAMETERS: Final = 10 * 1024
_MAX_ID: Final = 32
_MAX_POOL: Final = 253
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UID_FORM: Final = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
    "characters"
)


def items(values: Sequence[Any], most: int, check: Check, path: Path) -> list[FieldError]:
    """Each item checked, or only the size named when there are too many. ``most`` below zero: any number."""
    if 0 <= most < len(values):
        return [too_many(path, len(values), most)]
    return [error for at, value in enumerate(values) for error in check(value, path.index(at))]


def unique_items(
    values: Sequence[Any], most: int, check: Check, key: Callable[[Any], Any], path: Path
) -> list[FieldError]:
    found = items(values, most, check, path)
    return found if 0 <= most < len(values) else found + repeated(values, key, path)


def repeated(values: Iterable[Any], key: Callable[[Any], Any], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[Any] = set()
    for at, value in enumerate(values):
        own = key(value)
        if own in seen:
            found.append(duplicate(path.index(at), own))
        seen.add(own)
    return found


def entries(
    values: Mapping[str, Any],
    most: int,
    check_key: Callable[[str, Path], list[FieldError]],
    check: Check,
    path: Path,
) -> list[FieldError]:
    if 0 <= most < len(values):
        return [too_many(path, len(values), most)]
    return [
        error
        for key, value in values.items()
        for error in [*check_key(key, path.key(key)), *check(value, path.key(key))]
    ]


def own_name(item: Object) -> str:
    return item.get("name") or ""


def pool_name(name: str, path: Path) -> list[FieldError]:
    if not name:
        return [required(path)]
    found = [too_long(path, _MAX_POOL)] if len(name) > _MAX_POOL else []
    return found + [error for part in name.split("/") for error in subdomain(part, path)]


def uid(value: str, path: Path) -> list[FieldError]:
    if _UUID.fullmatch(value):
        return []
    if _UUID.fullmatch(value.lower()):
        return [invalid(path, value, _UID_FORM)]
    return [invalid(path, value, f"error validating uid: invalid UUID length: {len(value)}")]


def c_identifier(value: str, path: Path) -> list[FieldError]:
    found = [too_long(path, _MAX_ID)] if len(value) > _MAX_ID else []
    return found + complaints(names.check_c_identifier(value), value, path)


def attribute_name(value: str, path: Path) -> list[FieldError]:
    """``[domain/]identifier``."""
    domain, slash, name = value.partition("/")
    if not slash:
        return c_identifier(value, path)
    if "/" in name:
        return []  # as the original, which looks no further
    found = driver(domain, path) if domain else [invalid(path, "", "the domain must not be empty")]
    return found + (c_identifier(name, path) if name else [invalid(path, "", "the name must not be empty")])


def full_attribute_name(value: str, path: Path) -> list[FieldError]:
    found = attribute_name(value, path)
    if "/" not in value:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        found.append(invalid(path, value, text))
    return found


def selectors(values: Sequence[Object], path: Path) -> list[FieldError]:
    return items(values, MAX_SELECTORS, _selector, path)


def _selector(selector: Object, path: Path) -> list[FieldError]:
    cel = selector.get("cel")
    if cel is None:
        return [required(path.child("cel"))]
    if len((cel.get("expression") or "").encode()) > _MAX_EXPRESSION:
        return [too_long(path.child("cel", "expression"), _MAX_EXPRESSION)]
    return []


def configuration(config: Object, path: Path) -> list[FieldError]:
    opaque, where = config.get("opaque"), path.child("opaque")
    if opaque is None:
        return [required(where)]
    return [
        *driver(opaque.get("driver") or "", where.child("driver")),
        *raw_object(opaque.get("parameters"), where.child("parameters"), _MAX_PARAMETERS),
    ]


def raw_object(value: Any, path: Path, most: int) -> list[FieldError]:
    """Anything, as long as it is a JSON object that is not too long."""
    if value is None:
        return [required(path)]
    if len(codec.dumps(value)) > most:
        return [too_long(path, most)]
    if isinstance(value, dict):
        return []
    return [invalid(path, "<value omitted>", "must be a valid JSON object")]


EFFECTS: Final = ("NoExecute", "NoSchedule", "None")


def taint(value: Object, path: Path) -> list[FieldError]:
    effect, where = value.get("effect") or "", path.child("effect")
    found = qualified(value.get("key") or "", path.child("key"))
    if value.get("value"):
        found += complaints(names.check_label_value(value["value"]), value["value"], path.child("value"))
    if not effect:
        return [*found, required(where)]
    return found if effect in EFFECTS else [*found, not_supported(where, effect, EFFECTS)]


def toleration(value: Object, path: Path) -> list[FieldError]:
    key, operator, own, effect = (value.get(f) or "" for f in ("key", "operator", "value", "effect"))
    found = qualified(key, path.child("key")) if key else []
    if operator == "Exists":
        if own:
            found.append(invalid(path.child("value"), own, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        found += complaints(names.check_label_value(own), own, path.child("value"))
    elif not operator:
        found.append(required(path.child("operator")))
    else:
        found.append(not_supported(path.child("operator"), operator, ("Equal", "Exists")))
    if effect and effect not in EFFECTS:
        found.append(not_supported(path.child("effect"), effect, EFFECTS))
    return found


_MAX_BINDING: Final = 4


def binding_conditions(holder: Object, path: Path) -> list[FieldError]:
    """Conditions for and against a binding come together, each once, and none is in both lists."""
    pair = ("bindingConditions", "bindingFailureConditions")
    good, bad = ([*(holder.get(field) or ())] for field in pair)
    found: list[FieldError] = []
    for field, values in zip(pair, (good, bad), strict=True):
        found += items(values, _MAX_BINDING, qualified, path.child(field))
        found += repeated(values, str, path.child(field))
    text = "bindingFailureConditions must not overlap with bindingConditions"
    found += [
        invalid(path.child(pair[1]).index(at), value, text) for at, value in enumerate(bad) if value in good
    ]
    if bad and not good:
        text = "bindingConditions are required to use bindingFailureConditions"
        found.append(invalid(path.child(pair[0]), good, text))
    if good and not bad:
        text = "bindingFailureConditions are required to use bindingConditions"
        found.append(invalid(path.child(pair[1]), bad, text))
    return found
