"""Rules for PriorityLevelConfigurations (``pkg/apis/flowcontrol/validation``). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta
from apiserver.api.field_errors import (
    FieldError,
    Path,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.flow_schemas import conditions

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_TYPES: Final = ("Exempt", "Limited")
_RESPONSES: Final = ("Queue", "Reject")
_MAX_QUEUES: Final = 10_000_000
_MAX_HASH_BITS: Final = 60
_PERCENT: Final = "must be between 0 and 100, inclusive"
_CATCH_ALL: Final[Object] = {
    "type": "Limited",
    "limited": {
        "nominalConcurrencyShares": 5,
        "limitResponse": {"type": "Reject"},
        "lendablePercent": 0,
    },
}


def validate_priority_level(obj: Object, options: Options) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, meta.name(obj)
    kind, where = spec.get("type") or "", _SPEC.child("type")
    found: list[FieldError] = []
    if (name == "exempt") != (kind == "Exempt"):
        text = "type must be 'Exempt' if and only if name is 'exempt'"
        found.append(invalid(where, kind, text))
    if kind == "Exempt":
        found += _exempt(spec)
    elif kind == "Limited":
        found += _limited_level(spec)
    else:
        found.append(not_supported(where, kind, _TYPES))
    return found + _fixed(name, spec) + conditions(obj.get("status") or {})


def _fixed(name: str, spec: Object) -> list[FieldError]:
    """Of ``exempt`` the shares may change, of ``catch-all`` nothing."""
    if name == "exempt" and {k for k in spec if k != "exempt"} != {"type"}:
        text = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
        return [invalid(_SPEC, go_struct(spec), text)]
    if name == "catch-all" and spec != _CATCH_ALL:
        return [invalid(_SPEC, go_struct(spec), "spec of 'catch-all' must equal the fixed value")]
    return []


def _exempt(spec: Object) -> list[FieldError]:
    exempt, path = spec.get("exempt"), _SPEC.child("exempt")
    found: list[FieldError] = []
    if spec.get("limited") is not None:
        found.append(forbidden(_SPEC.child("limited"), "must be nil if the type is not Limited"))
    if exempt is None:
        return found
    shares = exempt.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        where = path.child("nominalConcurrencyShares")
        found.append(invalid(where, shares, "must be a non-negative integer"))
    return found + _lendable(exempt, path)


def _lendable(level: Object, path: Path) -> list[FieldError]:
    share = level.get("lendablePercent")
    if share is None or 0 <= share <= 100:
        return []
    return [invalid(path.child("lendablePercent"), share, _PERCENT)]


def _limited_level(spec: Object) -> list[FieldError]:
    limited, path = spec.get("limited"), _SPEC.child("limited")
    found: list[FieldError] = []
    if spec.get("exempt") is not None:
        found.append(forbidden(_SPEC.child("exempt"), "must be nil if the type is Limited"))
    if limited is None:
        return [*found, required(path, "must not be empty when type is Limited")]
    shares, borrowing = limited.get("nominalConcurrencyShares"), limited.get("borrowingLimitPercent")
    if shares is not None and shares < 0:
        where = path.child("nominalConcurrencyShares")
        found.append(invalid(where, shares, "must be a non-negative integer"))
    found += _response(limited.get("limitResponse") or {}, path.child("limitResponse"))
    found += _lendable(limited, path)
    if borrowing is not None and borrowing < 0:
        where = path.child("borrowingLimitPercent")
        found.append(invalid(where, borrowing, "if specified, must be a non-negative integer"))
    return found


def _response(response: Object, path: Path) -> list[FieldError]:
    kind, queuing, where = response.get("type") or "", response.get("queuing"), path.child("queuing")
    if kind == "Reject":
        text = "must be nil if limited.limitResponse.type is not Limited"
        return [forbidden(where, text)] if queuing is not None else []
    if kind != "Queue":
        return [not_supported(path.child("type"), kind, _RESPONSES)]
    if queuing is None:
        return [required(where, "must not be empty if limited.limitResponse.type is Limited")]
    return _queuing(queuing, where)


def _queuing(queuing: Object, path: Path) -> list[FieldError]:
    limit, queues, hand = (queuing.get(f) or 0 for f in ("queueLengthLimit", "queues", "handSize"))
    found: list[FieldError] = []
    if limit <= 0:
        found.append(invalid(path.child("queueLengthLimit"), limit, "must be positive"))
    if queues <= 0:
        found.append(invalid(path.child("queues"), queues, "must be positive"))
    elif queues > _MAX_QUEUES:
        found.append(invalid(path.child("queues"), queues, f"must not be greater than {_MAX_QUEUES}"))
    text = _hand_fault(hand, queues)
    return [*found, invalid(path.child("handSize"), hand, text)] if text else found


def _hand_fault(hand: int, queues: int) -> str:
    if hand <= 0:
        return "must be positive"
    if hand > queues:
        return f"should not be greater than queues ({queues})"
    if hand > _MAX_HASH_BITS or _entropy_bits(queues, hand) > _MAX_HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand}"
        return f"{text} should not be greater than {_MAX_HASH_BITS}"
    return ""


def _entropy_bits(queues: int, hand: int) -> int:
    """Bits of a hash that are enough to deal a hand (``shufflesharding.RequiredEntropyBits``)."""
    return math.ceil(math.log2(queues) * hand)
