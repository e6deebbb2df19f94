"""(P) A value without the fields and items of a set."""

from __future__ import annotations

from typing import Any

from apiserver.patch.apply.atoms import Atom, Shape, resolve
from apiserver.patch.apply.fieldset import LEAF, SELF, FieldSet, as_member, is_member
from apiserver.patch.apply.typed import element_of


def remove(value: Any, fields: FieldSet, atom: Atom) -> Any:
    """Shares what stays whole. A map or list of which nothing is left is None."""
    atom = resolve(atom, value)
    if not fields or atom.shape is Shape.SCALAR:
        return value
    if not value or atom.atomic:
        return None
    if atom.shape is Shape.MAP:
        return _from_map(value, fields, atom) if isinstance(value, dict) else None
    return _from_list(value, fields, atom) if isinstance(value, list) else None


def _from_map(value: dict[str, Any], fields: FieldSet, atom: Atom) -> dict[str, Any] | None:
    result: dict[str, Any] = {}
    for name, inner in value.items():
        node = fields.get("f:" + name)
        if node is None:
            result[name] = inner
        elif not is_member(node):
            result[name] = remove(inner, node, atom.child(name))
    return result or None


def _from_list(value: list[Any], fields: FieldSet, atom: Atom) -> list[Any] | None:
    assert atom.item is not None
    result: list[Any] = []
    for item in value:
        node = fields.get(element_of(atom, item))
        if node is None:
            result.append(item)
        elif not is_member(node):
            result.append(remove(item, node, atom.item))
    return result or None


def with_named(fields: FieldSet, atom: Atom) -> FieldSet:
    """The set with every named field that it has something below of.

    Fields of structs are not members of a set by themselves, keys of maps are; without this a struct of which
    everything was removed would stay behind, empty."""
    return {element: _named(element, node, atom) if node else LEAF for element, node in fields.items()}


def _named(element: str, node: FieldSet, atom: Atom) -> FieldSet:
    if element == SELF:
        return node
    inner = with_named(node, _child(element, atom))
    named = element[0] == "f" and atom.shape is Shape.MAP and element[2:] in atom.fields
    return as_member(inner) if named else inner


def _child(element: str, atom: Atom) -> Atom:
    if element[0] == "f":
        return atom.child(element[2:])
    return atom.item or atom
