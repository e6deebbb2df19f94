"""(P) Resource quantities, as Kubernetes' library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apiserver.api.quantity import NANO, Quantity, QuantityError, parse_quantity
from apiserver.cel.library.function import INT_MAX, INT_MIN, Function, function, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Opaque


@dataclass(frozen=True, slots=True)
class QuantityValue(Opaque):
    type_name = "kubernetes.Quantity"

    quantity: Quantity

    def __str__(self) -> str:
        return str(self.quantity)


def _parse(text: str) -> QuantityValue:
    try:
        return QuantityValue(parse_quantity(text))
    except QuantityError as exc:
        raise EvaluationError(str(exc)) from None


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except QuantityError:
        return False
    return True


def _sign(value: QuantityValue) -> int:
    nano = value.quantity.nano
    return (nano > 0) - (nano < 0)


def _is_integer(value: QuantityValue) -> bool:
    nano = value.quantity.nano
    return nano % NANO == 0 and INT_MIN <= nano // NANO <= INT_MAX


def _as_integer(value: QuantityValue) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return value.quantity.nano // NANO


def _add(left: QuantityValue, right: QuantityValue | int) -> QuantityValue:
    other = Quantity.of(right) if isinstance(right, int) else right.quantity
    return QuantityValue(left.quantity + other)


def _sub(left: QuantityValue, right: QuantityValue | int) -> QuantityValue:
    other = Quantity.of(right) if isinstance(right, int) else right.quantity
    return QuantityValue(left.quantity - other)


def _compare(left: QuantityValue, right: QuantityValue) -> int:
    return (left.quantity.nano > right.quantity.nano) - (left.quantity.nano < right.quantity.nano)


_Q: Final = "kubernetes_quantity"
FUNCTIONS: Final[tuple[Function, ...]] = (
    function(f"quantity(string) -> {_Q}", _parse, traversal),
    function("isQuantity(string) -> bool", _is_quantity, traversal),
    function(f"{_Q}.sign() -> int", _sign),
    function(f"{_Q}.isInteger() -> bool", _is_integer),
    function(f"{_Q}.asInteger() -> int", _as_integer),
    function(f"{_Q}.asApproximateFloat() -> double", lambda value: value.quantity.nano / NANO),
    *(function(f"{_Q}.add({kind}) -> {_Q}", _add) for kind in (_Q, "int")),
    *(function(f"{_Q}.sub({kind}) -> {_Q}", _sub) for kind in (_Q, "int")),
    function(f"{_Q}.isLessThan({_Q}) -> bool", lambda a, b: _compare(a, b) < 0),
    function(f"{_Q}.isGreaterThan({_Q}) -> bool", lambda a, b: _compare(a, b) > 0),
    function(f"{_Q}.compareTo({_Q}) -> int", _compare),
    function(f"string({_Q}) -> string", str),
)
