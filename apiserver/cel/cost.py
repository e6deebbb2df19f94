"""(P) The most that a checked expression can cost, before it ever runs.

A walk over the nodes that `compiler` has checked, with what the schema declares of the sizes of values. Macros count as
the comprehensions that cel-go makes of them. Fed by `environment`; `call_cost` knows the functions. Source: cel-go
``checker/cost.go``, with the options of Kubernetes (a presence test costs nothing).

Example: ``self.items.all(x, x > 0)`` with at most 10 items costs 2 for ``self.items``, 1 for the result, and 10 times
what one round does: 2 for the condition, 1 for the accumulator, 2 for ``x > 0``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from apiserver.cel.call_cost import Argument, call_cost
from apiserver.cel.library.function import Function
from apiserver.cel.sizes import ONE, UNKNOWN, Declared, Size, capped
from apiserver.cel.syntax import Bind, Call, Ident, ListNode, Literal, Loop, MapNode, Node, Select
from apiserver.cel.types import DYN, Type

_LIST: Final = 10
_MAP: Final = 30
_SCALARS: Final = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
_MISSING: Final = Declared()


@dataclass(frozen=True, slots=True)
class Checked:
    """``types`` and ``forms``, the functions that fit a call, are by the identity of nodes."""

    node: Node
    types: Mapping[int, Type]
    forms: Mapping[int, Sequence[Function]]


@dataclass(frozen=True, slots=True)
class _Value:
    """``size``: None where nothing is known. ``place``: what the schema declares of it; None for what is computed,
    `_MISSING` for what the schema does not know. ``entry``: of the items of what the expression itself makes.
    """

    cost: int
    size: Size | None = None
    place: Declared | None = None
    entry: Size | None = None

    @property
    def known(self) -> Size:
        return self.size or UNKNOWN


def estimated(checked: Checked, root: Declared) -> int:
    """In the units of `Program.evaluate`. All variables have the root's shape, as ``self`` and ``oldSelf`` have."""
    return _Estimate(checked, root).visit(checked.node).cost


class _Estimate:
    def __init__(self, checked: Checked, root: Declared) -> None:
        self._types = checked.types
        self._forms = checked.forms
        self._root = root
        self._scope: dict[str, _Value] = {}

    def visit(self, node: Node) -> _Value:
        return _VISITORS[type(node)](self, node)

    def _type(self, node: Node) -> Type:
        return self._types.get(id(node), DYN)

    def _part(self, place: Declared | None, step: str) -> Declared:
        """cel-go leaves out the first step of a path; so a part of something computed is measured by the root."""
        if place is None:
            return self._root
        return place if place is _MISSING else place.part(step) or _MISSING

    def _measured(self, node: Node, place: Declared | None, otherwise: Size | None = None) -> Size | None:
        if place is not None and place is not _MISSING:
            return Size(0, place.most)
        return ONE if _is_scalar(self._type(node)) else otherwise

    def literal(self, node: Literal) -> _Value:
        return _Value(0, _of_literal(node.value))

    def ident(self, node: Ident) -> _Value:
        known = self._scope.get(node.name)
        if known is None:
            known = _Value(0, place=self._root)
        return _Value(1, self._measured(node, known.place, known.size), known.place, known.entry)

    def select(self, node: Select) -> _Value:
        target = self.visit(node.target)
        if node.test:
            return _Value(target.cost, ONE)
        if node.optional:
            return _Value(capped(target.cost + 1), self._measured(node, None))
        kind = self._type(node.target)
        own = 1 if kind.name == "map" or kind.fields is not None else 0
        place = self._part(target.place, node.name)
        return _Value(capped(target.cost + own), self._measured(node, place), place)

    def call(self, node: Call) -> _Value:
        special = _OPERATORS.get(node.name)
        if special is not None and node.target is None:
            return special(self, node)
        forms = self._forms.get(id(node), ())
        args = [self._argument(arg) for arg in node.args]
        target = None
        if node.target is not None and (not forms or forms[0].signature.receiver):
            target = self._argument(node.target)
        own, size = 0, None
        names = [(form.signature.name, form.signature.params) for form in forms] or [(node.name, ())]
        for name, params in names:
            cost, result = call_cost(name, params, target, args)
            own = max(own, cost)
            size = result if size is None or result is None else size.or_(result)
        below = sum(arg.cost for arg in args) + (target.cost if target is not None else 0)
        entry = _joined([arg.entry for arg in args]) if node.name == "_+_" else None
        return _Value(capped(own + below), size or self._measured(node, None), None, entry)

    def _argument(self, node: Node) -> Argument:
        value, kind = self.visit(node), self._type(node)
        item = None
        if kind.params:
            place = None if value.place is None else self._part(value.place, "@items")
            item = Argument(0, UNKNOWN, kind.params[0])
            if place is not None and place is not _MISSING:
                item = replace(item, size=Size(0, place.most))
        literal = node.value if isinstance(node, Literal) else None
        return Argument(value.cost, value.known, kind, item, literal, value.entry)

    def logical(self, node: Call) -> _Value:
        return _Value(capped(sum(self.visit(arg).cost for arg in node.args)), ONE)

    def choice(self, node: Call) -> _Value:
        condition, chosen, other = (self.visit(arg) for arg in node.args)
        cost = condition.cost + max(chosen.cost, other.cost)
        entry = _joined([chosen.entry, other.entry])
        return _Value(capped(cost), chosen.known.or_(other.known), None, entry)

    def index(self, node: Call) -> _Value:
        target, key = (self.visit(arg) for arg in node.args)
        place = self._part(target.place, "@items")
        size = target.entry or self._measured(node, place)
        return _Value(capped(1 + target.cost + key.cost), size, place)

    def optional_index(self, node: Call) -> _Value:
        cost = 1 + sum(self.visit(arg).cost for arg in node.args)
        return _Value(capped(cost), self._measured(node, None))

    def dyn(self, node: Call) -> _Value:
        value = self.visit(node.args[0])
        return _Value(capped(1 + value.cost), value.size, None, value.entry)

    def made_list(self, node: ListNode) -> _Value:
        items = [self.visit(item) for item in node.items]
        entry = _joined([item.known for item in items]) if items else Size(0, 0)
        count = len(items)
        return _Value(capped(_LIST + sum(item.cost for item in items)), Size(count, count), None, entry)

    def made_map(self, node: MapNode) -> _Value:
        entries = [(self.visit(key), self.visit(value)) for key, value in node.entries]
        entry = _joined([value.known for _, value in entries]) if entries else Size(0, 0)
        cost = _MAP + sum(key.cost + value.cost for key, value in entries)
        return _Value(capped(cost), Size(len(entries), len(entries)), None, entry)

    def loop(self, node: Loop) -> _Value:
        source = self.visit(node.range)
        with self._inside(self._loop_variables(node, source)):
            guard = self.visit(node.guard) if node.guard is not None else None
            body = self.visit(node.body)
        begin, step, end = _rounds(node, guard.cost if guard is not None else 0, body.cost)
        cost = capped(source.cost + begin + end + capped(source.known.most * step))
        if node.kind in _VERDICTS:
            return _Value(cost, ONE)
        item = self._item_size(node, source) if node.kind == "filter" else body.known
        entry = None if node.kind.startswith("transformMap") else Size(0, item.most)
        return _Value(cost, source.known, None, entry)

    def _loop_variables(self, node: Loop, source: _Value) -> dict[str, _Value]:
        is_list = self._type(node.range).name == "list"
        item = _Value(0, source.entry, self._part(source.place, "@items"))
        key = _Value(0, None, self._part(source.place, "@indices" if is_list else "@keys"))
        if node.second:
            return {node.variable: key, node.second: item}
        return {node.variable: item if is_list else key}

    def _item_size(self, node: Loop, source: _Value) -> Size:
        first = self._loop_variables(node, source)[node.variable]
        if first.place is not None and first.place is not _MISSING:
            return Size(0, first.place.most)
        return first.known

    def bind(self, node: Bind) -> _Value:
        value = self.visit(node.value)
        if node.optional:
            return self._optional_bind(node, value)
        with self._inside({node.variable: value}):
            body = self.visit(node.body)
        return _Value(capped(_LIST + value.cost + body.cost), body.size, body.place, body.entry)

    def _optional_bind(self, node: Bind, value: _Value) -> _Value:
        """``value.hasValue() ? optional.of(cel.bind(variable, value.value(), body)) : optional.none()``"""
        kind = self._type(node.value)
        inner = ONE if kind.params and _is_scalar(kind.params[0]) else None
        with self._inside({node.variable: _Value(0, inner)}):
            body = self.visit(node.body)
        wrapped = 1 if node.optional == "optMap" else 0
        cost = (value.cost + 1) + max(wrapped + _LIST + value.cost + 1 + body.cost, 1)
        return _Value(capped(cost), self._measured(node, None))

    @contextmanager
    def _inside(self, scope: Mapping[str, _Value]) -> Iterator[None]:
        outer, self._scope = self._scope, {**self._scope, **scope}
        try:
            yield
        finally:
            self._scope = outer


_VERDICTS: Final = frozenset({"all", "exists", "exists_one"})


def _rounds(node: Loop, guard: int, body: int) -> tuple[int, int, int]:
    """(before the first round, each round, the result): what cel-go's expansion of the macro has, node by node."""
    match node.kind:
        case "all":  # @not_strictly_false(accu); accu && body
            return 0, 2 + 1 + body, 1
        case "exists":  # @not_strictly_false(!accu); accu || body
            return 0, 3 + 1 + body, 1
        case "exists_one":  # body ? accu + 1 : accu; accu == 1
            return 0, body + 2, 2
        case "filter":  # body ? accu + [x] : accu
            return _LIST, body + _LIST + 3, 1
        case "transformMap":  # cel.@mapInsert(accu, key, body)
            return _MAP, guard + body + 3, 1
        case "transformMapEntry":  # cel.@mapInsert(accu, body)
            return _MAP, guard + body + 2, 1
    return _LIST, guard + body + _LIST + 2, 1  # guard ? accu + [body] : accu


def _is_scalar(kind: Type) -> bool:
    if kind.name == "optional" and kind.params:
        return _is_scalar(kind.params[0])
    return kind.name in _SCALARS


def _of_literal(value: Any) -> Size:
    count = len(value) if isinstance(value, str | bytes) else 1
    return Size(count, count)


def _joined(sizes: Sequence[Size | None]) -> Size | None:
    """Of what is one of them; None if one is not known."""
    result: Size | None = None
    for size in sizes:
        if size is None:
            return None
        result = size if result is None else result.or_(size)
    return result


_VISITORS: Final[dict[type[Node], Callable[[_Estimate, Any], _Value]]] = {
    Literal: _Estimate.literal,
    Ident: _Estimate.ident,
    Select: _Estimate.select,
    Call: _Estimate.call,
    ListNode: _Estimate.made_list,
    MapNode: _Estimate.made_map,
    Loop: _Estimate.loop,
    Bind: _Estimate.bind,
}
_OPERATORS: Final[dict[str, Callable[[_Estimate, Any], _Value]]] = {
    "_||_": _Estimate.logical,
    "_&&_": _Estimate.logical,
    "_?_:_": _Estimate.choice,
    "_[_]": _Estimate.index,
    "_[?_]": _Estimate.optional_index,
    "dyn": _Estimate.dyn,
}
