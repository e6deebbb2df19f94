"""(P) Arithmetic of numbers, with the overflows of 64 bits, and the math extension."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from apiserver.cel.library.function import INT_MAX, INT_MIN, Function, function, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import UInt


def _int(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def _uint(value: int) -> UInt:
    if not 0 <= value < 2**64:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


def _divided(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulus(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("modulus by zero")
    return int(math.copysign(1, left)) * (abs(left) % abs(right)) if left else 0


def _quotient(left: float, right: float) -> float:
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


_WHOLE: Final[dict[str, Callable[[int, int], int]]] = {
    "_+_": lambda a, b: a + b,
    "_-_": lambda a, b: a - b,
    "_*_": lambda a, b: a * b,
    "_/_": _divided,
    "_%_": _modulus,
}
_REAL: Final[dict[str, Callable[[float, float], float]]] = {
    "_+_": lambda a, b: a + b,
    "_-_": lambda a, b: a - b,
    "_*_": lambda a, b: a * b,
    "_/_": _quotient,
}


def _bounded(bound: Callable[[int], Any], run: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    return lambda a, b: bound(run(int(a), int(b)))


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        values = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        if not values:
            raise EvaluationError("math.@max(list) argument must not be empty")
        return pick(values)

    return run


def _sign(value: Any) -> Any:
    return type(value)((value > 0) - (value < 0))


def double_text(value: float) -> str:
    """``%g`` as Go prints it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        sign = exponent[0] if exponent[0] in "+-" else "+"
        return f"{mantissa.removesuffix('.0')}e{sign}{exponent.lstrip('+-').zfill(2)}"
    return text.removesuffix(".0")


_NUMBERS: Final = ("int", "uint", "double")

FUNCTIONS: Final[tuple[Function, ...]] = (
    *(function(f"{name}(int, int) -> int", _bounded(_int, run)) for name, run in _WHOLE.items()),
    *(function(f"{name}(uint, uint) -> uint", _bounded(_uint, run)) for name, run in _WHOLE.items()),
    *(function(f"{name}(double, double) -> double", run) for name, run in _REAL.items()),
    function("-_(int) -> int", lambda value: _int(-value)),
    function("-_(double) -> double", lambda value: -value),
    function("!_(bool) -> bool", lambda value: not value),
    *(
        function(f"math::{name}({', '.join(['dyn'] * count)}) -> dyn", _extreme(pick), traversal)
        for name, pick in (("greatest", max), ("least", min))
        for count in range(1, 6)
    ),
    function("math::ceil(double) -> double", lambda value: float(math.ceil(value))),
    function("math::floor(double) -> double", lambda value: float(math.floor(value))),
    function("math::trunc(double) -> double", lambda value: float(math.trunc(value))),
    function("math::round(double) -> double", lambda v: math.copysign(math.floor(abs(v) + 0.5), v)),
    *(function(f"math::abs({kind}) -> {kind}", abs) for kind in ("int", "double")),
    *(function(f"math::sign({kind}) -> {kind}", _sign) for kind in _NUMBERS),
    function("math::isNaN(double) -> bool", math.isnan),
    function("math::isInf(double) -> bool", math.isinf),
    function("math::isFinite(double) -> bool", math.isfinite),
)
