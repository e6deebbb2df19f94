"""(P) What an update removed, modified and added, as sets of paths.

The walk of every recorded write. Equal parts are skipped by one comparison in C; parts that are on one side only
are owned whole, without comparing. `MISSING` is told from null: null is a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from apiserver.patch.apply.atoms import ANY, Atom, Shape, resolve
from apiserver.patch.apply.fieldset import EMPTY, LEAF, SELF, FieldSet
from apiserver.patch.apply.typed import element_of

MISSING: Final = object()
_ENCODE: Final = msgspec.json.Encoder().encode


class Comparison(NamedTuple):
    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    def mapped(self, change: Callable[[FieldSet], FieldSet]) -> Comparison:
        return Comparison(change(self.removed), change(self.modified), change(self.added))

    @property
    def is_same(self) -> bool:
        return not (self.removed or self.modified or self.added)


_SAME: Final = Comparison(EMPTY, EMPTY, EMPTY)
_MODIFIED: Final = (None, LEAF, None)
_Nodes = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
"""Removed, modified and added, each as the node of one place; None: nothing."""


def compare(old: Any, new: Any, atom: Atom) -> Comparison:
    """Raises Untypable for a list item that cannot be told from others."""
    nodes = _values(old, new, atom)
    return Comparison(*(node or EMPTY for node in nodes)) if nodes else _SAME


def same(old: Any, new: Any) -> bool:
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if old != new:
        return False
    if isinstance(old, dict):
        return all(same(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return all(map(same, old, new))
    return isinstance(old, bool) == isinstance(new, bool)


def _identical(old: Any, new: Any) -> bool:
    """Whether the walk may skip two values: the same in type, content and order."""
    return old == new and (isinstance(old, str) or _ENCODE(old) == _ENCODE(new))


def _values(old: Any, new: Any, atom: Atom) -> _Nodes | None:
    if atom.shape is Shape.ANY:
        return _untyped(old, new)
    if atom.shape is Shape.SCALAR or atom.atomic or not (old or new):
        return None if same(old, new) else _MODIFIED
    if atom.shape is Shape.MAP:
        return _maps(_map(old), _map(new), atom)
    return _lists(_list(old), _list(new), atom)


def _untyped(old: Any, new: Any) -> _Nodes | None:
    before, after = resolve(ANY, old), resolve(ANY, new)
    if before is after:
        return _values(old, new, after)
    removed = _inside(old, before)
    added = _inside(new, after)
    leaf = before.shape is not Shape.MAP or after.shape is not Shape.MAP
    return removed, (LEAF if leaf else None), added


def _inside(value: Any, atom: Atom) -> FieldSet | None:
    """What is below a value that took the place of one of another kind, or gave it up."""
    if atom.shape is not Shape.MAP or not value:
        return None
    return {"f:" + name: whole(inner, atom.child(name)) for name, inner in value.items()}


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _maps(old: dict[str, Any], new: dict[str, Any], atom: Atom) -> _Nodes | None:
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    fields, other = atom.fields, atom.item or ANY
    for name, before in old.items():
        after = new.get(name, MISSING)
        if after is MISSING:
            removed["f:" + name] = whole(before, fields.get(name) or other)
        elif not _identical(before, after):
            nodes = _values(before, after, fields.get(name) or other)
            if nodes is not None:
                _collect("f:" + name, nodes, removed, modified, added)
    for name, after in new.items():
        if name not in old:
            added["f:" + name] = whole(after, fields.get(name) or other)
    return _nodes(removed, modified, added)


def _nodes(removed: FieldSet, modified: FieldSet, added: FieldSet) -> _Nodes | None:
    if not (removed or modified or added):
        return None
    return removed or None, modified or None, added or None


def _collect(element: str, nodes: _Nodes, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
    if nodes[0] is not None:
        removed[element] = nodes[0]
    if nodes[1] is not None:
        modified[element] = nodes[1]
    if nodes[2] is not None:
        added[element] = nodes[2]


def _lists(old: list[Any], new: list[Any], atom: Atom) -> _Nodes | None:
    before, after = _indexed(old, atom), _indexed(new, atom)
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    for element in {**before, **after}:
        nodes = _items(before.get(element, []), after.get(element, []), atom)
        if nodes is not None:
            _collect(element, nodes, removed, modified, added)
    return _nodes(removed, modified, added)


def _indexed(items: list[Any], atom: Atom) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element_of(atom, item), []).append(item)
    return found


def _items(before: list[Any], after: list[Any], atom: Atom) -> _Nodes | None:
    """Items of one identity; several on a side are owned together, as if they were one atomic value."""
    assert atom.item is not None
    if len(before) == 1 and len(after) == 1:
        return _values(before[0], after[0], atom.item)
    if len(before) > 1 and len(after) > 1:
        return None if same(before, after) else _MODIFIED
    return _one_sided(before, atom.item), None, _one_sided(after, atom.item)


def _one_sided(items: list[Any], item: Atom) -> FieldSet | None:
    if not items:
        return None
    return whole(items[0], item) if len(items) == 1 else LEAF


def whole(value: Any, atom: Atom) -> FieldSet:
    """The node of a value with everything in it, itself included."""
    if atom.shape is Shape.ANY:
        atom = resolve(atom, value)
    if atom.shape is Shape.SCALAR or atom.atomic or not value:
        return LEAF
    node: FieldSet = {SELF: LEAF}
    if atom.shape is Shape.MAP:
        fields, other = atom.fields, atom.item or ANY
        for name, inner in _map(value).items():
            child = fields.get(name) or other
            node["f:" + name] = LEAF if child.shape is Shape.SCALAR else whole(inner, child)
    else:
        assert atom.item is not None
        for element, items in _indexed(_list(value), atom).items():
            node[element] = whole(items[0], atom.item) if len(items) == 1 else LEAF
    return node if len(node) > 1 else LEAF
