"""Rules for workloads with a pod template, jobs and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import labels, meta
from apiserver.api.field_errors import (
    FieldError,
    Path,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.common import (
    at_most_100_percent,
    immutable,
    int_or_percent,
    is_zero,
    label_selector,
    non_negative,
    one_of,
)
from apiserver.validation.objectmeta import IMMUTABLE
from apiserver.validation.pods import validate_template

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_MISMATCH: Final = "`selector` does not match template `labels`"
_ROLLING: Final = "RollingUpdate"
_EVICTION_POLICIES: Final = ("AlwaysAllow", "IfHealthyBudget")
_STATEFUL_MUTABLE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _selector_and_template(spec: Object, *, always: bool = True) -> list[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    found = _selector(selector, meta.labels(template))
    claims = frozenset(meta.name(claim) for claim in spec.get("volumeClaimTemplates") or ())
    found += validate_template(template, _SPEC.child("template"), claims)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if always and policy and policy != "Always":
        where = _SPEC.child("template", "spec", "restartPolicy")
        found.append(not_supported(where, policy, ["Always"]))
    return found


def _selector(selector: Object | None, own: Mapping[str, str]) -> list[FieldError]:
    """A missing one matches nothing, an empty one everything."""
    path, where = _SPEC.child("selector"), _SPEC.child("template", "metadata", "labels")
    if selector is None:
        return [required(path), invalid(where, dict(sorted(own.items())) or None, _MISMATCH)]
    found = label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(invalid(path, selector, "empty selector is invalid for deployment"))
    try:
        chosen = labels.selector_from_label_selector(selector)
    except ValueError:
        return [*found, invalid(path, selector, "invalid label selector")]
    if not chosen.empty() and not chosen.matches(own):
        found.append(invalid(where, dict(sorted(own.items())) or None, _MISMATCH))
    return found


def _counts(spec: Object, *fields: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in fields:
        found += non_negative(spec.get(field), _SPEC.child(field))
    return found


def validate_replica_set(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    return _counts(spec, "replicas", "minReadySeconds") + _selector_and_template(spec)


def validate_deployment(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found = _counts(spec, "replicas") + _selector_and_template(spec)
    found += _strategy(spec.get("strategy") or {}, _SPEC.child("strategy"))
    found += _counts(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        path = _SPEC.child("progressDeadlineSeconds")
        found.append(invalid(path, deadline, "must be greater than minReadySeconds"))
    return found


def _strategy(strategy: Object, path: Path) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        where = path.child("rollingUpdate")
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(where, text)]
    if kind != "RollingUpdate":
        return [not_supported(path.child("type"), kind, ("Recreate", "RollingUpdate"))]
    return _rolling(rolling or {}, path.child("rollingUpdate"))


def _rolling(rolling: Object, path: Path) -> list[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = int_or_percent(unavailable, path.child("maxUnavailable"))
    found += int_or_percent(surge, path.child("maxSurge"))
    if is_zero(unavailable) and is_zero(surge):
        text = "may not be 0 when `maxSurge` is 0"
        found.append(invalid(path.child("maxUnavailable"), unavailable, text))
    return found + at_most_100_percent(unavailable, path.child("maxUnavailable"))


def validate_daemon_set(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found = _selector_and_template(spec)
    found += _counts(spec, "minReadySeconds", "revisionHistoryLimit")
    strategy = (spec.get("updateStrategy") or {}).get("type")
    return found + one_of(strategy, ("RollingUpdate", "OnDelete"), _SPEC.child("updateStrategy"))


def validate_stateful_set(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found = _counts(spec, "replicas", "minReadySeconds") + _selector_and_template(spec)
    policy, where = spec.get("podManagementPolicy") or "", _SPEC.child("podManagementPolicy")
    if not policy:
        found.append(required(where))
    elif policy not in ("OrderedReady", "Parallel"):
        found.append(invalid(where, policy, "must be 'OrderedReady' or 'Parallel'"))
    found += _stateful_strategy(spec.get("updateStrategy") or {}, _SPEC.child("updateStrategy"))
    start = (spec.get("ordinals") or {}).get("start")
    return found + non_negative(start, _SPEC.child("ordinals", "start"))


def _stateful_strategy(strategy: Object, path: Path) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate") or {}
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        text = f"only allowed for updateStrategy '{_ROLLING}'"
        return [invalid(path.child("rollingUpdate"), go_struct(rolling), text)] if rolling else []
    if kind != _ROLLING:
        return [invalid(path, go_struct(strategy), f"must be '{_ROLLING}' or 'OnDelete'")]
    where = path.child("rollingUpdate")
    found = non_negative(rolling.get("partition"), where.child("partition"))
    unavailable = rolling.get("maxUnavailable")
    if unavailable is not None:
        found += int_or_percent(unavailable, where.child("maxUnavailable"))
        if is_zero(unavailable):
            found.append(invalid(where.child("maxUnavailable"), unavailable, "cannot be 0"))
        found += at_most_100_percent(unavailable, where.child("maxUnavailable"))
    return found


def validate_stateful_set_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    def fixed(spec: Object) -> Object:
        return {key: value for key, value in spec.items() if key not in _STATEFUL_MUTABLE}

    if fixed(new["spec"]) == fixed(old["spec"]):
        return []
    text = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    )
    return [forbidden(_SPEC, text)]


def validate_controller(obj: Object, options: Options) -> list[FieldError]:
    spec = obj["spec"]
    found = _counts(spec, "minReadySeconds")
    selector, template = spec.get("selector") or {}, spec.get("template") or {}
    if not selector:
        found.append(required(_SPEC.child("selector")))
    found += _counts(spec, "replicas")
    own = meta.labels(template)
    if selector and not labels.selector_from_set(selector).matches(own):
        found.append(invalid(_SPEC.child("template", "metadata", "labels"), own, _MISMATCH))
    return found + validate_template(template, _SPEC.child("template"))


def validate_selector_unchanged(new: Object, old: Object, options: Options) -> list[FieldError]:
    return immutable(new["spec"].get("selector"), old["spec"].get("selector"), _SPEC.child("selector"))


def validate_budget(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found: list[FieldError] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        text = "minAvailable and maxUnavailable cannot be both set"
        found.append(invalid(_SPEC, spec, text))
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            found += int_or_percent(spec[field], _SPEC.child(field))
            found += at_most_100_percent(spec[field], _SPEC.child(field))
    policy, where = spec.get("unhealthyPodEvictionPolicy"), _SPEC.child("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        found.append(not_supported(where, policy, _EVICTION_POLICIES))
    return found + label_selector(spec.get("selector"), _SPEC.child("selector"))


def validate_revision(obj: Object, options: Options) -> list[FieldError]:
    data, path = obj.get("data"), Path("data")
    found: list[FieldError] = []
    if data is None:
        found.append(required(path, "data is mandatory"))
    elif not isinstance(data, dict):
        found.append(invalid(path, "<value omitted>", "data must be a valid JSON object"))
    return found + non_negative(obj.get("revision"), Path("revision"))


def validate_revision_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return (
        []
        if new.get("data") == old.get("data")
        else [invalid(Path("data"), go_struct(new.get("data")), IMMUTABLE)]
    )
