"""Rules for ResourceSlices (``pkg/apis/resource/validation``). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, forbidden, go_struct, invalid, required, too_long
from apiserver.api.quantity import canonical, parse_quantity
from apiserver.validation.common import immutable
from apiserver.validation.device_fields import (
    attribute_name,
    binding_conditions,
    entries,
    items,
    own_name,
    pool_name,
    taint,
    unique_items,
)
from apiserver.validation.domains import driver, label, subdomain
from apiserver.validation.scheduling import node_selector

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_MAX_DEVICES: Final = 128
_MAX_DEVICES_WITH_EXTRAS: Final = 64
_MAX_COUNTER_SETS: Final = 8
_MAX_COUNTERS: Final = 32
_MAX_CONSUMPTIONS: Final = 2
_MAX_ATTRIBUTES: Final = 32
_MAX_TAINTS: Final = 16
_MAX_VALUE: Final = 64
_MAX_OPTIONS: Final = 10
_IDENTIFIER: Final = r"(0|[1-9]\d*)"
_PRERELEASE: Final = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD: Final = "[0-9a-zA-Z-]+"
_SEMVER: Final = re.compile(
    rf"{_IDENTIFIER}\.{_IDENTIFIER}\.{_IDENTIFIER}"
    rf"(-{_PRERELEASE}(\.{_PRERELEASE})*)?(\+{_BUILD}(\.{_BUILD})*)?"
)
_PLACES: Final = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)
_ONE_OWN_PLACE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to "
    "true in the ResourceSlice spec"
)
_TRUE: Final = "must be either unset or set to true"


def validate_new_slice(obj: Object, options: Options) -> list[FieldError]:
    return _slice(obj.get("spec") or {}, {})


def validate_slice_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    mine, theirs = ((s.get("pool") or {}).get("name") for s in (spec, before))
    found = immutable(mine, theirs, _SPEC.child("pool", "name"))
    for field in ("driver", "nodeName"):
        found += immutable(spec.get(field), before.get(field), _SPEC.child(field))
    return found + _slice(spec, before)


def _slice(spec: Object, before: Object) -> list[FieldError]:
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    found = driver(spec.get("driver") or "", _SPEC.child("driver")) + _pool(spec.get("pool") or {})
    found += _place(spec)
    if devices is not None and counters is not None:
        found.append(invalid(_SPEC, "", "only one of `sharedCounters` or `devices` is allowed"))
    extras = any(d.get("taints") or d.get("consumesCounters") for d in devices or ())
    check = partial(
        _device,
        before={own_name(d): d for d in before.get("devices") or ()},
        per_device=bool(spec.get("perDeviceNodeSelection")),
    )
    most = _MAX_DEVICES_WITH_EXTRAS if extras else _MAX_DEVICES
    found += unique_items(devices or (), most, check, own_name, _SPEC.child("devices"))
    where = _SPEC.child("sharedCounters")
    return found + unique_items(counters or (), _MAX_COUNTER_SETS, _counter_set, own_name, where)


def _pool(pool: Object) -> list[FieldError]:
    path, count, generation = (
        _SPEC.child("pool"),
        pool.get("resourceSliceCount") or 0,
        pool.get("generation") or 0,
    )
    found = pool_name(own_name(pool), path.child("name"))
    if count <= 0:
        found.append(invalid(path.child("resourceSliceCount"), count, "must be greater than zero"))
    if generation < 0:
        text = "must be greater than or equal to zero"
        found.append(invalid(path.child("generation"), generation, text))
    return found


def _place(spec: Object) -> list[FieldError]:
    found, given = _named_place(spec, _SPEC, "must be either unset or set to a non-empty string")
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms") or []
    if spec.get("nodeSelector") is not None and len(terms) != 1:
        where = _SPEC.child("nodeSelector", "nodeSelectorTerms")
        found.append(invalid(where, go_struct(terms), "must have exactly one node selector term"))
    if spec.get("perDeviceNodeSelection") is False:
        found.append(invalid(_SPEC.child("perDeviceNodeSelection"), False, _TRUE))
    elif spec.get("perDeviceNodeSelection"):
        given.append("`perDeviceNodeSelection`")
    if not given:
        found.append(required(_SPEC, _ONE_PLACE))
    elif len(given) > 1:
        shown = "{" + ", ".join(given) + "}"
        found.append(invalid(_SPEC, shown, f"{_ONE_PLACE}, but multiple fields are set"))
    return found


def _named_place(holder: Object, path: Path, empty: str) -> tuple[list[FieldError], list[str]]:
    """What is wrong with the node, nodes or all nodes named, and which of these are."""
    name, selector, everywhere = (holder.get(field) for field in _PLACES[:3])
    found: list[FieldError] = []
    given: list[str] = []
    if name:
        given.append("`nodeName`")
        found += subdomain(name, path.child("nodeName"))
    elif name is not None:
        found.append(invalid(path.child("nodeName"), name, empty))
    if selector is not None:
        given.append("`nodeSelector`")
        found += node_selector(selector, path.child("nodeSelector"))
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        found.append(invalid(path.child("allNodes"), everywhere, _TRUE))
    return found, given


def _counter_set(counters: Object, path: Path) -> list[FieldError]:
    name, values = own_name(counters), counters.get("counters") or {}
    found = label(name, path.child("name")) if name else [required(path.child("name"))]
    return found + _counters(values, path.child("counters"))


def _counters(values: Object, path: Path) -> list[FieldError]:
    if not values:
        return [required(path)]
    return entries(values, _MAX_COUNTERS, label, _anything, path)


def _anything(value: Any, path: Path) -> list[FieldError]:
    return []


def _device(device: Object, path: Path, before: Mapping[str, Object], per_device: bool) -> list[FieldError]:
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    found = label(own_name(device), path.child("name"))
    total = len(attributes) + len(capacity)
    if total > _MAX_ATTRIBUTES:
        text = f"the total number of attributes and capacities must not exceed {_MAX_ATTRIBUTES}"
        found.append(invalid(path, total, text))
    found += entries(attributes, -1, attribute_name, _attribute, path.child("attributes"))
    check = _shared_capacity if device.get("allowMultipleAllocations") else _own_capacity
    found += entries(capacity, -1, attribute_name, check, path.child("capacity"))
    taints = device.get("taints") or ()
    if taints != (before.get(own_name(device)) or {}).get("taints"):
        found += items(taints, _MAX_TAINTS, taint, path.child("taints"))
    consumed, where = device.get("consumesCounters") or (), path.child("consumesCounters")
    found += unique_items(consumed, _MAX_CONSUMPTIONS, _consumption, _set_of, where)
    return found + _own_place(device, path, per_device=per_device) + binding_conditions(device, path)


def _own_place(device: Object, path: Path, *, per_device: bool) -> list[FieldError]:
    if not per_device:
        if all(device.get(field) is None for field in _PLACES[:3]):
            return []
        text = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in "
            "the ResourceSlice spec"
        )
        return [invalid(path, None, text)]
    found, given = _named_place(device, path, "must not be empty")
    if not given:
        found.append(required(path, _ONE_OWN_PLACE))
    elif len(given) > 1:
        found.append(invalid(path, "{" + ", ".join(given) + "}", _ONE_OWN_PLACE))
    return found


def _set_of(consumption: Object) -> str:
    return consumption.get("counterSet") or ""


def _consumption(consumption: Object, path: Path) -> list[FieldError]:
    name, where = _set_of(consumption), path.child("counterSet")
    found = label(name, where) if name else [required(where)]
    return found + _counters(consumption.get("counters") or {}, path.child("counters"))


def _attribute(attribute: Object, path: Path) -> list[FieldError]:
    given = [field for field in ("bool", "int", "string", "version") if attribute.get(field) is not None]
    found: list[FieldError] = []
    for field in ("string", "version"):
        value = attribute.get(field)
        if field == "version" and value is not None and not _SEMVER.fullmatch(value):
            text = "must be a string compatible with semver.org spec 2.0.0"
            found.append(invalid(path.child(field), value, text))
        if value is not None and len(value.encode()) > _MAX_VALUE:
            found.append(too_long(path.child(field), _MAX_VALUE))
    if len(given) != 1:
        shown = go_struct(attribute) if given else ""
        found.append(invalid(path, shown, "exactly one value must be specified"))
    return found


def _own_capacity(capacity: Object, path: Path) -> list[FieldError]:
    if capacity.get("requestPolicy") is None:
        return []
    return [forbidden(path.child("requestPolicy"), "allowMultipleAllocations must be true")]


def _shared_capacity(capacity: Object, path: Path) -> list[FieldError]:
    policy, where = capacity.get("requestPolicy"), path.child("requestPolicy")
    if policy is None:
        return []
    values, span = policy.get("validValues") or [], policy.get("validRange")
    if values and span is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [forbidden(where, text)]
    if not values and span is None:
        return []
    field = "validValues" if values else "validRange"
    if policy.get("default") is None:
        return [required(where.child("default"), f"required when {field} is defined")]
    if values:
        return _valid_values(policy["default"], capacity.get("value") or "0", values, where.child(field))
    return _valid_range(policy["default"], capacity.get("value") or "0", span, where.child(field))


def _valid_values(default: Any, most: Any, values: list[Any], path: Path) -> list[FieldError]:
    amounts, found = [parse_quantity(value) for value in values], []
    for at in range(1, len(values)):
        if amounts[at - 1] > amounts[at]:
            text = "values must be sorted in ascending order"
            found.append(invalid(path.index(at), canonical(values[at]), text))

    def option(value: Any, where: Path) -> list[FieldError]:
        text = f"option is larger than capacity value: {canonical(most)}"
        too_large = parse_quantity(value) > parse_quantity(most)
        return [invalid(where, canonical(value), text)] if too_large else []

    found += unique_items(values, _MAX_OPTIONS, option, canonical, path)
    if parse_quantity(default) not in amounts:
        text = "default value is not valid according to the requestPolicy"
        found.append(invalid(path, canonical(default), text))
    return found


def _valid_range(default: Any, most: Any, span: Object, path: Path) -> list[FieldError]:
    low, high, step = span.get("min"), span.get("max"), span.get("step")
    if low is None:
        return [required(path.child("min"), "required when validRange is defined")]
    complaints = [
        ("min", low, low, most, f"min is larger than capacity value: {canonical(most)}"),
        ("min", default, low, default, f"default is less than min: {canonical(low)}"),
    ]
    if high is not None:
        complaints += [
            ("max", low, low, high, f"min is larger than max: {canonical(high)}"),
            ("max", high, high, most, f"max is larger than capacity value: {canonical(most)}"),
            ("max", default, default, high, f"default is more than max: {canonical(high)}"),
        ]
    found = [
        invalid(path.child(field), canonical(shown), text)
        for field, shown, value, bound, text in complaints
        if parse_quantity(value) > parse_quantity(bound)
    ]
    return found + (_steps(default, most, span, path.child("step")) if step is not None else [])


def _steps(default: Any, most: Any, span: Object, path: Path) -> list[FieldError]:
    low, step, high = span["min"], span["step"], span.get("max")
    first, size = parse_quantity(low).value(), parse_quantity(step).value()
    found: list[FieldError] = []
    if first + size > parse_quantity(most).value():
        text = f"one step {first + size} is larger than capacity value: {canonical(most)}"
        found.append(invalid(path, canonical(step), text))
    for value in (default, high):
        if value is not None and size and (parse_quantity(value).value() - first) % size:
            text = f"value is not a multiple of a given step ({canonical(step)}) from ({canonical(low)})"
            found.append(invalid(path, canonical(value), text))
    return found
