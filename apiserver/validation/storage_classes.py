"""Rules for StorageClasses and VolumeAttributesClasses (``pkg/apis/storage/validation``). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    too_long,
)
from apiserver.validation.common import immutable
from apiserver.validation.domains import complaints

Object = dict[str, Any]
Options = Mapping[str, Any]

_RECLAIM: Final = ("Delete", "Retain")
_BINDING: Final = ("Immediate", "WaitForFirstConsumer")
_MAX_PARAMETERS: Final = 512
_MAX_PARAMETER_BYTES: Final = 256 * 1024


def validate_storage_class(obj: Object, options: Options) -> list[FieldError]:
    policy, mode = obj.get("reclaimPolicy") or "", obj.get("volumeBindingMode")
    found = _provisioner(obj, "provisioner") + _parameters(obj.get("parameters") or {}, may_be_empty=True)
    if policy and policy not in _RECLAIM:
        found.append(not_supported(Path("reclaimPolicy"), policy, _RECLAIM))
    if mode is None:
        found.append(required(Path("volumeBindingMode")))
    elif mode not in _BINDING:
        found.append(not_supported(Path("volumeBindingMode"), mode, _BINDING))
    return found + _topologies(obj.get("allowedTopologies") or (), Path("allowedTopologies"))


def validate_storage_class_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    found = _frozen(new, old, "parameters", "provisioner", "reclaimPolicy")
    mine, theirs = new.get("volumeBindingMode"), old.get("volumeBindingMode")
    return found + immutable(mine, theirs, Path("volumeBindingMode"))


def validate_attributes_class(obj: Object, options: Options) -> list[FieldError]:
    return _provisioner(obj, "driverName") + _parameters(obj.get("parameters") or {}, may_be_empty=False)


def validate_attributes_class_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return _frozen(new, old, "driverName", "parameters") + validate_attributes_class(new, options)


def _frozen(new: Object, old: Object, *fields: str) -> list[FieldError]:
    return [
        forbidden(Path(field), f"updates to {field} are forbidden.")
        for field in fields
        if (new.get(field) or None) != (old.get(field) or None)
    ]


def _provisioner(obj: Object, field: str) -> list[FieldError]:
    name = (obj.get(field) or "").lower()
    return (
        complaints(names.check_qualified_name(name), name, Path(field)) if name else [required(Path(field))]
    )


def _parameters(parameters: Mapping[str, str], *, may_be_empty: bool) -> list[FieldError]:
    path = Path("parameters")
    if len(parameters) > _MAX_PARAMETERS:
        return [too_long(path, _MAX_PARAMETERS)]
    found = [invalid(path, "", "field can not be empty.")] if "" in parameters else []
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > _MAX_PARAMETER_BYTES:
        found.append(too_long(path, _MAX_PARAMETER_BYTES))
    if not parameters and not may_be_empty:
        found.append(required(path, "must contain at least one key/value pair"))
    return found


def _topologies(terms: Iterable[Object], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: list[dict[str, frozenset[str]]] = []
    for at, term in enumerate(terms):
        where = path.index(at).child("matchLabelExpressions")
        wanted, wrong = _term(term, where)
        found += wrong
        if wanted in seen:
            found.append(duplicate(where, ""))
        seen.append(wanted)
    return found


def _term(term: Object, path: Path) -> tuple[dict[str, frozenset[str]], list[FieldError]]:
    """The values allowed for each key, and what is wrong (``ValidateTopologySelectorTerm``)."""
    found: list[FieldError] = []
    wanted: dict[str, frozenset[str]] = {}
    for at, expression in enumerate(term.get("matchLabelExpressions") or ()):
        key, values, where = expression.get("key") or "", expression.get("values") or (), path.index(at)
        found += [] if values else [required(where.child("values"))]
        found += [
            duplicate(where.child("values").index(number), value)
            for number, value in enumerate(values)
            if value in values[:number]
        ]
        if key in wanted:
            found.append(duplicate(where.child("key"), key))
        wanted[key] = frozenset(values)
        found += complaints(names.check_qualified_name(key), key, where.child("key"))
    return wanted, found
