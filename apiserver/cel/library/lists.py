"""(P) Lists, sets and maps: concatenation, indexing, Kubernetes' list functions and cel-go's sets."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from apiserver.cel.library.function import INT_MAX, INT_MIN, Function, function, product, size_of, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Duration, UInt, equal

_SUMMED: Final = ("int", "uint", "double", "duration")
_ORDERED: Final = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
Items = list[Any]


def _at(items: Items, index: Any) -> Any:
    if isinstance(index, float) and not index.is_integer():
        raise EvaluationError("unsupported index value")
    if not 0 <= index < len(items):
        raise EvaluationError(f"index out of bounds: {int(index)}")
    return items[int(index)]


def entry(value: dict[Any, Any], key: Any) -> Any:
    """Raises EvaluationError."""
    if (
        isinstance(key, list | dict)
        or key not in value
        or isinstance(key, bool) is not _is_bool_key(value, key)
    ):
        raise EvaluationError(f"no such key: {key}")
    return value[key]


def _is_bool_key(value: dict[Any, Any], key: Any) -> bool:
    if not isinstance(key, bool) and key not in (0, 1):
        return False
    return any(known == key and isinstance(known, bool) for known in value)


def _is_sorted(items: Items) -> bool:
    return all(left <= right for left, right in pairwise(items))


def _sum(items: Items) -> Any:
    if items and isinstance(items[0], Duration):
        return Duration(sum(item.nanoseconds for item in items))
    total = sum(items)
    if isinstance(total, float):
        return total
    if items and isinstance(items[0], UInt):
        return UInt(total)
    if not INT_MIN <= total <= INT_MAX:
        raise EvaluationError("integer overflow")
    return total


def _min(items: Items) -> Any:
    if not items:
        raise EvaluationError("min called on empty list")
    return min(items)


def _max(items: Items) -> Any:
    if not items:
        raise EvaluationError("max called on empty list")
    return max(items)


def _index_of(items: Items, wanted: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, wanted)), -1)


def _last_index_of(items: Items, wanted: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], wanted)), -1)


def _contains_all(items: Items, wanted: Items) -> bool:
    return all(any(equal(item, one) for item in items) for one in wanted)


def _intersects(left: Items, right: Items) -> bool:
    return any(equal(item, other) for item in left for other in right)


def _slice(items: Items, start: int, end: int) -> Items:
    if start < 0 or end < 0 or start > end or end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flat(items: Items, depth: int = 1) -> Items:
    found: Items = []
    for item in items:
        if isinstance(item, list):
            found.extend(_flat(item, depth - 1) if depth > 1 else item)
        else:
            found.append(item)
    return found


def _distinct(items: Items) -> Items:
    found: Items = []
    for item in items:
        if not any(equal(item, known) for known in found):
            found.append(item)
    return found


def _sorted(items: Items) -> Items:
    try:
        return sorted(items)
    except TypeError:
        raise EvaluationError("list elements must be comparable") from None


def _range(count: int) -> Items:
    return list(range(count))


def _squared(args: Any) -> int:
    return 1 + size_of(args[0]) ** 2


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("_+_(list(A), list(A)) -> list(A)", lambda a, b: a + b, traversal),
    function("_[_](list(A), int) -> A", _at),
    function("_[_](list(A), uint) -> A", _at),
    function("_[_](list(A), double) -> A", _at),
    function("_[_](map(A, B), A) -> B", entry),
    *(function(f"list({kind}).isSorted() -> bool", _is_sorted, traversal) for kind in _ORDERED),
    *(function(f"list({kind}).sum() -> {kind}", _sum, traversal) for kind in _SUMMED),
    *(function(f"list({kind}).min() -> {kind}", _min, traversal) for kind in _ORDERED),
    *(function(f"list({kind}).max() -> {kind}", _max, traversal) for kind in _ORDERED),
    function("list(A).indexOf(A) -> int", _index_of, traversal),
    function("list(A).lastIndexOf(A) -> int", _last_index_of, traversal),
    function("list(A).slice(int, int) -> list(A)", _slice, traversal),
    function("list(A).flatten() -> list(dyn)", _flat, traversal),
    function("list(A).flatten(int) -> list(dyn)", _flat, traversal),
    function("list(A).distinct() -> list(A)", _distinct, _squared),
    function("list(A).sort() -> list(A)", _sorted, _squared),
    function("list(A).reverse() -> list(A)", lambda items: items[::-1], traversal),
    function("lists::range(int) -> list(int)", _range, lambda args: 1 + max(0, args[0])),
    function("sets::contains(list(A), list(A)) -> bool", _contains_all, product),
    function(
        "sets::equivalent(list(A), list(A)) -> bool",
        lambda a, b: _contains_all(a, b) and _contains_all(b, a),
        product,
    ),
    function("sets::intersects(list(A), list(A)) -> bool", _intersects, product),
)
