"""(P) A recorded set brought in line with the present types and the live object.

What was owned as a whole and is now owned part by part, because its type says so since (custom resources) or because
it was empty when it was recorded, becomes every part that the live object has. What was owned part by part and is
now owned as a whole becomes the whole.
"""

from __future__ import annotations

from typing import Any

from apiserver.patch.apply.atoms import Atom, Shape, resolve
from apiserver.patch.apply.fieldset import LEAF, SELF, FieldSet
from apiserver.patch.apply.typed import Untypable, element_of, field_set


def reconcile(fields: FieldSet, live: Any, atom: Atom) -> FieldSet:
    """Returns ``fields`` itself if nothing has to change. An object without any type is left as it is."""
    return fields if atom.shape is Shape.ANY else _children(fields, atom, _Place(live))


class _Place:
    """Where in the live object the walk is. The value is looked up where it matters only, which is rare."""

    __slots__ = ("atom", "element", "outer", "value")

    def __init__(self, value: Any = None, outer: _Place | None = None, element: str = "", atom: Any = None):
        self.value = value
        self.outer = outer
        self.element = element
        self.atom = atom

    def look(self) -> Any:
        """None for what is not there."""
        return self.value if self.outer is None else _inner(self.outer.look(), self.element, self.atom)


def _children(fields: FieldSet, atom: Atom, live: _Place) -> FieldSet:
    result: FieldSet | None = None
    for element, node in fields.items():
        child = _child(element, atom)
        if child is None or child.shape is Shape.SCALAR or (child.atomic and not node):
            continue
        fresh = LEAF if child.atomic else _node(node, child, _Place(None, live, element, atom))
        if fresh is not node:
            result = dict(fields) if result is None else result
            result[element] = fresh
    return fields if result is None else result


def _child(element: str, atom: Atom) -> Atom | None:
    if element == SELF:
        return None
    return atom.child(element[2:]) if element[0] == "f" else atom.item


def _node(node: FieldSet, atom: Atom, live: _Place) -> FieldSet:
    if node:
        return _children(node, atom, live)
    value = live.look()
    resolved = resolve(atom, value)
    below = {} if resolved.atomic or not value else field_set(value, resolved)
    return {SELF: LEAF, **below} if below else node


def _inner(value: Any, element: str, atom: Atom) -> Any:
    if element[0] == "f":
        return value.get(element[2:]) if isinstance(value, dict) else None
    items = value if isinstance(value, list) else []
    return next((item for item in items if _is(element, atom, item)), None)


def _is(element: str, atom: Atom, item: Any) -> bool:
    try:
        return element_of(atom, item) == element
    except Untypable:
        return False
