"""Rules for PriorityClasses, RuntimeClasses and Leases. Pure.

Source: ``pkg/apis/{scheduling,node,coordination}/validation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported
from apiserver.validation.common import immutable
from apiserver.validation.domains import label, qualified
from apiserver.validation.objectmeta import validate_labels
from apiserver.validation.resources import validate_resources
from apiserver.validation.scheduling import validate_tolerations

Object = dict[str, Any]
Options = Mapping[str, Any]

_SYSTEM: Final = "system-"
_SYSTEM_CLASSES: Final = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
_HIGHEST_USER_PRIORITY: Final = 1000000000
_PREEMPTION: Final = ("PreemptLowerPriority", "Never")
_STRATEGIES: Final = ("OldestEmulationVersion",)


def validate_new_priority_class(obj: Object, options: Options) -> list[FieldError]:
    name, value, policy = meta.name(obj), obj.get("value") or 0, obj.get("preemptionPolicy")
    found: list[FieldError] = []
    if name.startswith(_SYSTEM):
        wrong = _not_a_system_class(name, value, bool(obj.get("globalDefault")))
        if wrong:
            text = f"priority class names with '{_SYSTEM}' prefix are reserved for system use only. error: {wrong}"
            found.append(forbidden(Path("metadata").child("name"), text))
    elif value > _HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        found.append(forbidden(Path("value"), text))
    if policy is not None and policy not in _PREEMPTION:
        found.append(not_supported(Path("preemptionPolicy"), policy, _PREEMPTION, ordered=True))
    return found


def _not_a_system_class(name: str, value: int, is_default: bool) -> str:
    known = _SYSTEM_CLASSES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known:
        return f"value of {name} PriorityClass must be {known}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate_priority_class_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        found.append(forbidden(Path("value"), "may not be changed in an update."))
    mine, theirs = new.get("preemptionPolicy"), old.get("preemptionPolicy")
    return found + immutable(mine, theirs, Path("preemptionPolicy"))


def validate_runtime_class(obj: Object, options: Options) -> list[FieldError]:
    found = label(obj.get("handler") or "", Path("handler"))
    if obj.get("overhead") is not None:
        found += validate_resources({"limits": obj["overhead"].get("podFixed")}, Path("overhead"))
    scheduling, path = obj.get("scheduling") or {}, Path("scheduling")
    found += validate_labels(scheduling.get("nodeSelector") or {}, path.child("nodeSelector"))
    return found + validate_tolerations(scheduling.get("tolerations") or (), path.child("tolerations"))


def validate_runtime_class_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return immutable(new.get("handler"), old.get("handler"), Path("handler"))


def validate_lease(obj: Object, options: Options) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, Path("spec")
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    strategy, holder = spec.get("strategy"), spec.get("preferredHolder")
    found: list[FieldError] = []
    if duration is not None and duration <= 0:
        found.append(invalid(path.child("leaseDurationSeconds"), duration, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        found.append(invalid(path.child("leaseTransitions"), transitions, text))
    if strategy is not None:
        found += _strategy(strategy, path.child("strategy", "strategy"))  # the original's own path
    if holder and not strategy:
        text = "may only be specified if `strategy` is defined"
        found.append(forbidden(path.child("preferredHolder"), text))
    return found


def _strategy(strategy: str, path: Path) -> list[FieldError]:
    """One of Kubernetes' own, or anybody's with a domain."""
    if "/" in strategy:
        return qualified(strategy, path)
    return [] if strategy in _STRATEGIES else [not_supported(path, strategy, _STRATEGIES)]
