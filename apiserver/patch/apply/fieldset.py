"""(P) Sets of field paths, in the form that `fieldsV1` has: nested maps from elements (see `elements`) to nodes.

A node that is empty is a member and has nothing below it; a node with the key `.` is a member and has members
below it; a node without is only on the way to them. So `{"f:data": {".": {}, "f:a": {}}}` holds `.data` and
`.data.a`. The root itself is never a member: an empty root is the empty set.

Sets are never changed in place. Operations share whatever they leave alone, and return their very argument when
nothing changed, so that an update costs what it touches and not what everybody owns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from apiserver.patch.apply.elements import BadElement, canonical, order

FieldSet = dict[str, Any]
SELF: Final = "."
EMPTY: Final[FieldSet] = {}
LEAF: Final[FieldSet] = {}
"""The node of a member with nothing below it."""


class BadFields(ValueError):
    """A text that is no set of fields."""


def is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def as_member(node: FieldSet) -> FieldSet:
    """The node with its own path in the set."""
    return node if not node or SELF in node else {SELF: LEAF, **node}


def of_paths(*paths: tuple[str, ...]) -> FieldSet:
    """The set of these paths of elements."""
    result: FieldSet = {}
    for path in paths:
        node: FieldSet = LEAF
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    if not right:
        return left
    if not left:
        return right
    result = dict(left)
    for element, node in right.items():
        mine = result.get(element)
        result[element] = node if mine is None else _join(mine, node)
    return result


def _join(left: FieldSet, right: FieldSet) -> FieldSet:
    if not right:
        return as_member(left)
    if not left:
        return as_member(right)
    return union(left, right)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """The members that both have."""
    if len(right) < len(left):
        left, right = right, left
    result: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None:
            continue
        common = _common(node, other)
        if common is not None:
            result[element] = common
    return result


def _common(left: FieldSet, right: FieldSet) -> FieldSet | None:
    if not left:
        return LEAF if is_member(right) else None
    if not right:
        return LEAF if SELF in left else None
    return _collapsed(intersection(left, right))


def _collapsed(node: FieldSet) -> FieldSet | None:
    """The node that has these members below it and maybe itself; None for none at all."""
    if not node:
        return None
    return LEAF if len(node) == 1 and SELF in node else node


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """The members of ``left`` that are not members of ``right``; what is below a removed one stays."""
    return _subtract(left, right, _less)


def _less(node: FieldSet, other: FieldSet) -> FieldSet | None:
    if not node:
        return None if is_member(other) else node
    if not other:
        return {key: inner for key, inner in node.items() if key != SELF} if SELF in node else node
    rest = difference(node, other)
    return node if rest is node else _collapsed(rest)


def _subtract(
    left: FieldSet, right: FieldSet, less: Callable[[FieldSet, FieldSet], FieldSet | None]
) -> FieldSet:
    """``less`` says what is left of a node of ``left`` beside that of ``right``: None for nothing."""
    result: FieldSet | None = None
    for element, other in right.items():
        node = left.get(element)
        if node is None:
            continue
        rest = less(node, other)
        if rest is node:
            continue
        result = dict(left) if result is None else result
        _put(result, element, rest)
    return left if result is None else result


def _put(fields: FieldSet, element: str, node: FieldSet | None) -> None:
    if node is None:
        del fields[element]
    else:
        fields[element] = node


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """``left`` without the members of ``right`` and without everything below them."""
    return _subtract(left, right, _less_deep)


def _less_deep(node: FieldSet, other: FieldSet) -> FieldSet | None:
    if is_member(other):
        return None
    if not node:
        return node
    rest = recursive_difference(node, other)
    return node if rest is node else _collapsed(rest)


def only(fields: FieldSet, pattern: FieldSet) -> FieldSet:
    """The members on or below a path of the pattern, whose element `*` is every element; empty: all of them."""
    if not pattern:
        return fields
    result: FieldSet = {}
    for element, node in fields.items():
        inner = pattern.get("*", pattern.get(element))
        if element == SELF or inner is None:
            continue
        kept = only(node, inner)
        if kept or is_member(node):
            result[element] = as_member(kept) if is_member(node) else kept
    return result


def has(fields: FieldSet, path: tuple[str, ...]) -> bool:
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and node is not None and is_member(node)


def below(fields: FieldSet, element: str) -> FieldSet:
    """The members below an element, the element itself left out."""
    return fields.get(element) or EMPTY


def paths(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All members; at each level first those of the level itself, in order."""
    elements = sorted((key for key in fields if key != SELF), key=order)
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        if fields[element]:
            yield from paths(fields[element], (*prefix, element))


def ordered(fields: FieldSet) -> FieldSet:
    """A copy with all its keys in the order in which it is written. Nothing in it is shared."""
    keys = sorted(fields)
    members = len(keys) - (SELF in fields)
    if members > 1 and keys[-1][0] > "f":  # other elements than fields have an order of their own
        keys.sort(key=_order)
    return {key: ordered(fields[key]) if fields[key] else {} for key in keys}


def _order(key: str) -> tuple[Any, ...]:
    return () if key == SELF else order(key)


def parse(raw: Any) -> FieldSet:
    """A set from outside. Raises BadFields. Elements of a kind that nobody knows are left out."""
    if raw is None:
        return EMPTY
    try:
        node = _parsed(raw)
    except BadElement as exc:
        raise BadFields(f"error decoding set: {exc}") from None
    return {key: inner for key, inner in node.items() if key != SELF}


def _parsed(raw: Any) -> FieldSet:
    if raw is None:
        return LEAF
    if not isinstance(raw, dict):
        raise BadElement("expect { or n, but found another value")
    result: FieldSet = {}
    for key, inner in raw.items():
        element = SELF if key == SELF else canonical(key)
        if element is not None:
            result[element] = LEAF if element == SELF else _parsed(inner)
    collapsed = _collapsed(result)
    return LEAF if collapsed is None else collapsed
