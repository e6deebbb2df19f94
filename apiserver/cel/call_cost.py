"""(P) What a call of a function costs at most, beyond its arguments, and how large its result may be.

Asked by `cost` for each form of a function that fits. What is not named here costs 1. Source: apiserver
``pkg/cel/library/cost.go``, cel-go ``checker/cost.go`` and ``ext/sets.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from apiserver.cel.sizes import ONE, PATTERN_FACTOR, STRING_FACTOR, UNBOUNDED, Size, capped, scaled
from apiserver.cel.types import Type

Cost = tuple[int, Size | None]
_FORMAT: Final = 64  # characters of a format
_FORMAT_PATTERN: Final = 128  # and of its regular expression
_IN_SUBNET: Final = Size(4, 16)  # bytes of an address


@dataclass(frozen=True, slots=True)
class Argument:
    """``item``: of a list or map. ``literal``: the value where it is written out. ``entry``: the size of an item that
    the expression itself has made.
    """

    cost: int
    size: Size
    type: Type
    item: Argument | None = None
    literal: Any = None
    entry: Size | None = None


Args = Sequence[Argument]


def call_cost(name: str, params: Sequence[Type], target: Argument | None, args: Args) -> Cost:
    """``params``: of the form that fits, its target first."""
    kinds = [param.name for param in params]
    if name in _COMPARISONS:
        return _comparison(name, kinds, args)
    known = _METHODS.get(name) if target is not None else _FUNCTIONS.get(name)
    return known(kinds, [target, *args] if target is not None else args) if known is not None else (1, None)


def _comparison(name: str, kinds: list[str], args: Args) -> Cost:
    left, right = args
    if name not in ("_==_", "_!=_") and kinds[0] not in ("string", "bytes"):
        return 1, None
    if name == "_==_" and left.type == right.type:
        match left.type.name:
            case "net_ip" | "net_cidr" | "kubernetes_quantity" | "kubernetes_semver":
                return 1, None
            case "kubernetes_format":
                return scaled(_FORMAT, STRING_FACTOR), None
            case "kubernetes_url":
                return scaled(right.size.most if right.size.most != UNBOUNDED else 1, STRING_FACTOR), None
    return scaled(min(left.size.most, right.size.most), STRING_FACTOR), None


def _added(kinds: list[str], args: Args) -> Cost:
    if kinds[0] not in ("string", "bytes", "list"):
        return 1, None
    size = args[0].size.plus(args[1].size)
    return (1 if kinds[0] == "list" else size.cost()), size


def _contained(kinds: list[str], args: Args) -> Cost:
    return (args[1].size.most if kinds[1] == "list" else 1), None


def _walked_part(kinds: list[str], args: Args) -> Cost:
    """startsWith, endsWith: the part is walked, not the text."""
    return args[1].size.cost(), None


def _searched(kinds: list[str], args: Args) -> Cost:
    return capped(args[0].size.cost() * args[1].size.cost()), None


def _matched(kinds: list[str], args: Args) -> Cost:
    text, pattern = args[0].size.plus(ONE).cost(), args[1].size.cost(PATTERN_FACTOR)
    return capped(text * pattern), None


def _found(kinds: list[str], args: Args) -> Cost:
    return _matched(kinds, args)[0], Size(0, args[0].size.most)


def _to_bytes(kinds: list[str], args: Args) -> Cost:
    size = args[0].size
    return (size.cost(), Size(size.least, capped(size.most * 4))) if kinds[0] == "string" else (1, None)


def _to_string(kinds: list[str], args: Args) -> Cost:
    size = args[0].size
    return (size.cost(), Size(size.least // 4, size.most)) if kinds[0] == "bytes" else (1, None)


def _quoted(kinds: list[str], args: Args) -> Cost:
    size = args[0].size
    return size.cost(), Size(capped(size.least + 2), capped(size.most * 2 + 2))


def _formatted(kinds: list[str], args: Args) -> Cost:
    return args[0].size.cost(), None


def _each(kinds: list[str], args: Args) -> Cost:
    """Of functions that compare the items of a list, or look through a text."""
    target = args[0]
    if target.item is None:
        return target.size.cost(), None
    item = 1
    if target.item.type.name in ("string", "bytes"):
        item += target.item.size.cost()
    return capped(target.size.most * capped(item)), None


def _kept(kinds: list[str], args: Args) -> Cost:
    return args[0].size.cost(), args[0].size


def _replaced(kinds: list[str], args: Args) -> Cost:
    text, old, new = (arg.size for arg in args[:3])
    most, kept_most = _replacements(text.most, old.least, new.most, longer=new.most > old.least)
    least, kept_least = _replacements(text.least, old.most, new.least, longer=old.most > new.least)
    size = Size(least, most).times(new).plus(Size(kept_least, kept_most))
    return text.cost(2 * STRING_FACTOR), size


def _replacements(text: int, old: int, new: int, *, longer: bool) -> tuple[int, int]:
    """(how often, what stays) at the extreme; ``longer``: replacing goes further in that direction than keeping."""
    if old == 0:
        return capped(text + 1), text
    return (ceil(text / old), 0) if longer else (0, text)


def _split(kinds: list[str], args: Args) -> Cost:
    text = args[0].size
    most = args[2].literal if len(args) > 2 and type(args[2].literal) is int else text.most
    return text.cost(2 * STRING_FACTOR), Size(0, most % (UNBOUNDED + 1))


def _joined(kinds: list[str], args: Args) -> Cost:
    items = args[0].size
    size = items.times(args[0].item.size) if args[0].item is not None else Size(0, 0)
    if len(args) > 1:
        size = size.plus(args[1].size.times(Size(max(items.least - 1, 0), max(items.most - 1, 0))))
    return size.cost(), size


def _in_subnet(kinds: list[str], args: Args) -> Cost:
    text = args[1].size.cost() if kinds[1] == "string" else 0
    return capped(_IN_SUBNET.plus(_IN_SUBNET).cost() + text), None


def _subnet_in_subnet(kinds: list[str], args: Args) -> Cost:
    return capped(_in_subnet(kinds, args)[0] + _IN_SUBNET.cost() + 1), None


def _well_formed(kinds: list[str], args: Args) -> Cost:
    return scaled(args[1].size.cost(), _FORMAT_PATTERN * PATTERN_FACTOR), None


def _sets(factor: int) -> Callable[[list[str], Args], Cost]:
    def cost(kinds: list[str], args: Args) -> Cost:
        pairs = args[0].size.times(args[1].size).most
        return capped(factor * pairs + 1), None

    return cost


_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_FUNCTIONS: Final[dict[str, Callable[[list[str], Args], Cost]]] = {
    "_+_": _added,
    "@in": _contained,
    "matches": _matched,
    "bytes": _to_bytes,
    "string": _to_string,
    "strings.quote": _quoted,
    "url": _kept,
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
}
_METHODS: Final[dict[str, Callable[[list[str], Args], Cost]]] = {
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _each),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _kept),
    **dict.fromkeys(("startsWith", "endsWith"), _walked_part),
    **dict.fromkeys(("find", "findAll"), _found),
    "contains": _searched,
    "matches": _matched,
    "format": _formatted,
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "containsIP": _in_subnet,
    "containsCIDR": _subnet_in_subnet,
    "validate": _well_formed,
}
