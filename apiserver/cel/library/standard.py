"""(P) Comparison, size, membership, types and conversions between them."""

from __future__ import annotations

import math
from typing import Any, Final

from apiserver.cel import regexes
from apiserver.cel.library.function import INT_MAX, INT_MIN, Function, function, search, size_of, traversal
from apiserver.cel.library.numbers import double_text
from apiserver.cel.library.times import duration_text, parse_duration, parse_timestamp, timestamp_text
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import TypeValue, UInt, equal, type_name

_NUMBERS: Final = ("int", "uint", "double")


def _same_size(args: Any) -> int:
    return 1 + min(map(size_of, args)) // 10


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, dict):
        return item in container if _hashable(item) else False
    return any(equal(item, other) for other in container)


def _hashable(value: Any) -> bool:
    return not isinstance(value, list | dict)


_COMPARED: Final = ("bool", "string", "bytes", "timestamp", "duration")
_PAIRS: Final = [*((name, name) for name in _COMPARED), *((a, b) for a in _NUMBERS for b in _NUMBERS)]
_COMPARISONS: Final = {
    "_<_": lambda a, b: a < b,
    "_<=_": lambda a, b: a <= b,
    "_>_": lambda a, b: a > b,
    "_>=_": lambda a, b: a >= b,
}


def to_int(value: Any) -> int:
    """Raises EvaluationError."""
    if isinstance(value, float):
        if not math.isfinite(value) or not INT_MIN < value < INT_MAX:
            raise EvaluationError("integer overflow")
        return math.trunc(value)
    if isinstance(value, str):
        try:
            result = int(value, 10)
        except ValueError:
            raise EvaluationError(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None
        if "_" in value or not INT_MIN <= result <= INT_MAX:
            raise EvaluationError(f'strconv.ParseInt: parsing "{value}": value out of range')
        return result
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return int(value)


def _to_uint(value: Any) -> UInt:
    if isinstance(value, str):
        if not value.isdigit():
            raise EvaluationError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
        value = int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError("unsigned integer overflow")
        value = math.trunc(value)
    if not 0 <= value < 2**64:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


def _to_double(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def _to_bool(value: str) -> bool:
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise EvaluationError(f'strconv.ParseBool: parsing "{value}": invalid syntax')


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _identity(value: Any) -> Any:
    return value


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("_==_(A, A) -> bool", equal, _same_size),
    function("_!=_(A, A) -> bool", lambda a, b: not equal(a, b), _same_size),
    *(
        function(f"{name}({a}, {b}) -> bool", run, _same_size)
        for name, run in _COMPARISONS.items()
        for a, b in _PAIRS
    ),
    function("@in(A, list(A)) -> bool", _contains, lambda args: 1 + size_of(args[1])),
    function("@in(A, map(A, B)) -> bool", _contains),
    *(
        function(text, len)
        for kind in ("string", "bytes", "list(A)", "map(A, B)")
        for text in (f"size({kind}) -> int", f"{kind}.size() -> int")
    ),
    function("matches(string, string) -> bool", regexes.matches, search),
    function("string.matches(string) -> bool", regexes.matches, search),
    function("type(A) -> type", lambda value: TypeValue(type_name(value))),
    function("dyn(A) -> dyn", _identity),
    *(function(f"int({kind}) -> int", to_int) for kind in ("int", "uint", "double", "string")),
    function("int(timestamp) -> int", lambda moment: int(moment.timestamp())),
    function("int(duration) -> int", lambda span: span.nanoseconds),
    *(function(f"uint({kind}) -> uint", _to_uint) for kind in ("uint", "int", "double", "string")),
    *(function(f"double({kind}) -> double", _to_double) for kind in ("double", "int", "uint", "string")),
    function("string(string) -> string", _identity),
    function("string(bool) -> string", lambda value: "true" if value else "false"),
    function("string(int) -> string", str),
    function("string(uint) -> string", lambda value: str(int(value))),
    function("string(double) -> string", double_text),
    function("string(bytes) -> string", _decoded, traversal),
    function("string(timestamp) -> string", timestamp_text),
    function("string(duration) -> string", duration_text),
    function("bytes(bytes) -> bytes", _identity),
    function("bytes(string) -> bytes", lambda value: value.encode("utf-8", "surrogatepass"), traversal),
    function("bool(bool) -> bool", _identity),
    function("bool(string) -> bool", _to_bool),
    function("timestamp(timestamp) -> timestamp", _identity),
    function("timestamp(string) -> timestamp", parse_timestamp),
    function("duration(duration) -> duration", _identity),
    function("duration(string) -> duration", parse_duration),
)
