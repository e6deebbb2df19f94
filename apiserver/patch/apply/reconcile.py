"""(P) A recorded set brought in line with the present types.

What was owned part by part and is owned as a whole since, because the author of a custom resource made its type
atomic, becomes the whole. The other way round nothing is done, as in the original: an empty map and one that was
owned as a whole look alike in a set.
"""

from __future__ import annotations

from apiserver.patch.apply.atoms import Atom, Shape
from apiserver.patch.apply.fieldset import LEAF, SELF, FieldSet


def reconcile(fields: FieldSet, atom: Atom) -> FieldSet:
    """Returns ``fields`` itself if nothing has to change. Values without a type are left as they are."""
    result: FieldSet | None = None
    for element, node in fields.items():
        if not node:
            continue
        child = _child(element, atom)
        if child is None or child.shape in (Shape.ANY, Shape.SCALAR):
            continue
        fresh = LEAF if child.atomic else reconcile(node, child)
        if fresh is not node:
            result = dict(fields) if result is None else result
            result[element] = fresh
    return fields if result is None else result


def _child(element: str, atom: Atom) -> Atom | None:
    if element == SELF:
        return None
    return atom.child(element[2:]) if element[0] == "f" else atom.item
