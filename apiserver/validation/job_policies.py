"""Rules for what a Job counts as failure and success: indexes, failure, success and replacement policies. Pure.

Source: ``pkg/apis/batch/validation``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from apiserver.api.field_errors import (
    OMITTED,
    FieldError,
    Path,
    duplicate,
    go_struct,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from apiserver.validation.common import non_negative
from apiserver.validation.domains import domain_prefixed_path, qualified

Object = dict[str, Any]

_MODES: Final = ("NonIndexed", "Indexed")
_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS: Final = ("In", "NotIn")
_STATUSES: Final = ("False", "True", "Unknown")
_REPLACEMENT: Final = ("Failed", "TerminatingOrFailed")
_MANY: Final = 100_000
_MANY_AT_ONCE: Final = 10_000
_MAX_RULES: Final = 20
_MAX_PATTERNS: Final = 20
_MAX_EXIT_CODES: Final = 255
_MAX_MANAGED_BY: Final = 63
_MAX_INDEXES_TEXT: Final = 64 * 1024
_INDEXED_ONLY: Final = "requires indexed completion mode"
_TOGETHER: Final = f"when completions are above {_MANY} and used with backoff limit per index"


def validate_policies(spec: Object, path: Path) -> list[FieldError]:
    found = _failures_per_index(spec, path)
    managed = spec.get("managedBy")
    if managed is not None:
        found += domain_prefixed_path(managed, path.child("managedBy"))
        if len(managed) > _MAX_MANAGED_BY:
            found.append(too_long(path.child("managedBy"), _MAX_MANAGED_BY))
    mode = spec.get("completionMode")
    if mode is not None and mode not in _MODES:
        found.append(not_supported(path.child("completionMode"), mode, _MODES, ordered=True))
    found += _indexed(spec, path) if mode == "Indexed" else []
    if mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                found.append(invalid(path.child(field), spec[field], _INDEXED_ONLY))
    if spec.get("podFailurePolicy") is not None:
        found += _failure_policy(spec, path.child("podFailurePolicy"))
    if spec.get("successPolicy") is not None:
        found += _success_policy(spec, path.child("successPolicy"))
    return found + _replacement(spec, path.child("podReplacementPolicy"))


def _failures_per_index(spec: Object, path: Path) -> list[FieldError]:
    found = non_negative(spec.get("backoffLimitPerIndex"), path.child("backoffLimitPerIndex"))
    found += non_negative(spec.get("maxFailedIndexes"), path.child("maxFailedIndexes"))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    return found


def _indexed(spec: Object, path: Path) -> list[FieldError]:
    completions, parallelism = spec.get("completions"), spec.get("parallelism") or 0
    failed, found = spec.get("maxFailedIndexes"), []
    if completions is None:
        found.append(required(path.child("completions"), "when completion mode is Indexed"))
    if parallelism > _MANY:
        text = f"must be less than or equal to {_MANY} when completion mode is Indexed"
        found.append(invalid(path.child("parallelism"), parallelism, text))
    where = path.child("maxFailedIndexes")
    if completions is not None and failed is not None and failed > completions:
        found.append(invalid(where, failed, "must be less than or equal to completions"))
    if failed is not None and failed > _MANY:
        found.append(invalid(where, failed, f"must be less than or equal to {_MANY}"))
    if (completions or 0) <= _MANY or spec.get("backoffLimitPerIndex") is None:
        return found
    if failed is None:
        found.append(required(where, f"must be specified when completions is above {_MANY}"))
    for field, value in (("parallelism", parallelism), ("maxFailedIndexes", failed or 0)):
        if value > _MANY_AT_ONCE:
            text = f"must be less than or equal to {_MANY_AT_ONCE} {_TOGETHER}"
            found.append(invalid(path.child(field), value, text))
    return found


def _failure_policy(spec: Object, path: Path) -> list[FieldError]:
    rules, where = spec["podFailurePolicy"].get("rules") or (), path.child("rules")
    found = [too_many(where, len(rules), _MAX_RULES)] if len(rules) > _MAX_RULES else []
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for field in ("containers", "initContainers") for c in pod.get(field) or ()}
    for at, rule in enumerate(rules):
        found += _failure_rule(
            rule, where.index(at), names, per_index=spec.get("backoffLimitPerIndex") is not None
        )
    return found


def _failure_rule(rule: Object, path: Path, names: Collection[Any], *, per_index: bool) -> list[FieldError]:
    action, codes, conditions = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions")
    found = _one_of(action, _ACTIONS, path.child("action"))
    if action == "FailIndex" and not per_index:
        found.append(invalid(path.child("action"), action, "requires the backoffLimitPerIndex to be set"))
    if codes is not None:
        found += _exit_codes(codes, path.child("onExitCodes"), names)
    found += _conditions(conditions or (), path.child("onPodConditions"))
    if codes is not None and conditions:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        found.append(invalid(path, OMITTED, text))
    if codes is None and not conditions:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        found.append(invalid(path, OMITTED, text))
    return found


def _one_of(value: str, allowed: tuple[str, ...], path: Path) -> list[FieldError]:
    if not value:
        return [required(path, "valid values: [" + " ".join(f'"{name}"' for name in allowed) + "]")]
    return [] if value in allowed else [not_supported(path, value, allowed)]


def _conditions(patterns: Any, path: Path) -> list[FieldError]:
    found = [too_many(path, len(patterns), _MAX_PATTERNS)] if len(patterns) > _MAX_PATTERNS else []
    for at, pattern in enumerate(patterns):
        found += qualified(pattern.get("type") or "", path.index(at).child("type"))
        found += _one_of(pattern.get("status") or "", _STATUSES, path.index(at).child("status"))
    return found


def _exit_codes(codes: Object, path: Path, names: Collection[Any]) -> list[FieldError]:
    operator, container, values = (
        codes.get("operator") or "",
        codes.get("containerName"),
        codes.get("values") or [],
    )
    found, where = _one_of(operator, _OPERATORS, path.child("operator")), path.child("values")
    if container is not None and container not in names:
        text = "must be one of the container or initContainer names in the pod template"
        found.append(invalid(path.child("containerName"), container, text))
    if not values:
        found.append(invalid(where, codes.get("values"), "at least one value is required"))
    elif len(values) > _MAX_EXIT_CODES:
        found.append(too_many(where, len(values), _MAX_EXIT_CODES))
    for at, value in enumerate(values):
        if operator == "In" and value == 0:
            found.append(invalid(where.index(at), value, "must not be 0 for the In operator"))
        if value in values[:at]:
            found.append(duplicate(where.index(at), value))
    return found if values == sorted(values) else [*found, invalid(where, values, "must be ordered")]


def _success_policy(spec: Object, path: Path) -> list[FieldError]:
    rules, where = spec["successPolicy"].get("rules") or (), path.child("rules")
    if spec.get("completionMode") != "Indexed":
        return [invalid(path, go_struct(spec["successPolicy"]), _INDEXED_ONLY)]
    found: list[FieldError] = []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        found.append(required(where, text))
    if len(rules) > _MAX_RULES:
        found.append(too_many(where, len(rules), _MAX_RULES))
    for at, rule in enumerate(rules):
        found += _success_rule(rule, spec.get("completions") or 0, where.index(at))
    return found


def _success_rule(rule: Object, completions: int, path: Path) -> list[FieldError]:
    indexes, count, found = rule.get("succeededIndexes"), rule.get("succeededCount"), []
    if indexes is None and count is None:
        text = "at least one of succeededCount or succeededIndexes must be specified"
        found.append(required(path, text))
    total, where = 0, path.child("succeededIndexes")
    if indexes is not None:
        if len(indexes) > _MAX_INDEXES_TEXT:
            found.append(too_long(where, _MAX_INDEXES_TEXT))
        total, fault = count_indexes(indexes, completions)
        found += [invalid(where, indexes, f"error parsing succeededIndexes: {fault}")] if fault else []
    if count is None:
        return found
    where = path.child("succeededCount")
    found += non_negative(count, where)
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        found.append(invalid(where, count, text))
    if indexes is not None and count > total:
        text = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        found.append(invalid(where, count, text))
    return found


def count_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes ``1,3-5`` names, and what is wrong with it: they rise, and stay below ``completions``."""
    if not text:
        return 0, ""
    total, last = 0, -1
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) > 2:
            text = (
                "violates the requirement that an index interval can have at most two parts separated by '-'"
            )
            return 0, f'the fragment "{part}" {text}'
        for end in ends:
            if not end.isascii() or not end.isdigit():
                return 0, f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return 0, f'too large index: "{end}"'
        first, final = int(ends[0]), int(ends[-1])
        if last >= first:
            return 0, f"non-increasing order, previous: {last}, current: {first}"
        if len(ends) == 2 and final <= first:
            return 0, f"non-increasing order, previous: {first}, current: {final}"
        total, last = total + final - first + 1, final
    return total, ""


def _replacement(spec: Object, path: Path) -> list[FieldError]:
    policy = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else _REPLACEMENT
    return [] if policy is None or policy in allowed else [not_supported(path, policy, allowed)]
