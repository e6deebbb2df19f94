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
    return fields if atom.shape is Shape.ANY else _children(fields, atom, (live,))


Places = tuple[Any, ...]
"""What the live object has at a path: one value, or none. Lists are searched only where it matters."""


def _children(fields: FieldSet, atom: Atom, live: Places) -> FieldSet:
    result: FieldSet | None = None
    for element, node in fields.items():
        child = _child(element, atom)
        if child is None or child.shape is Shape.SCALAR or (child.atomic and not node):
            continue
        fresh = LEAF if child.atomic else _node(node, child, _inner(live, element, atom))
        if fresh is not node:
            result = dict(fields) if result is None else result
            result[element] = fresh
    return fields if result is None else result


def _child(element: str, atom: Atom) -> Atom | None:
    if element == SELF:
        return None
    return atom.child(element[2:]) if element[0] == "f" else atom.item


def _node(node: FieldSet, atom: Atom, live: Places) -> FieldSet:
    if node:
        return _children(node, atom, live)
    for value in live:
        resolved = resolve(atom, value)
        below = {} if resolved.atomic or not value else field_set(value, resolved)
        return {SELF: LEAF, **below} if below else node
    return node


def _inner(live: Places, element: str, atom: Atom) -> Places:
    if not live:
        return ()
    value = live[0]
    if element[0] == "f":
        return (value[element[2:]],) if isinstance(value, dict) and element[2:] in value else ()
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if _is(element, atom, item))[:1]


def _is(element: str, atom: Atom, item: Any) -> bool:
    try:
        return element_of(atom, item) == element
    except Untypable:
        return False
