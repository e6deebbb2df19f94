"""(P) How values of a type are owned: field by field, or as a whole.

Compiled from `apiserver.schema.types` once for each type and kept with it. Built-in and custom types take the same
way; where a type says nothing (`Kind.ANY`, or no type at all) the value itself decides: maps are owned key by key,
lists as a whole. Follows kube-openapi's `schemaconv`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final

from apiserver.schema.types import ApiType, Field, Kind


class Shape(Enum):
    MAP = auto()
    LIST = auto()
    SCALAR = auto()
    ANY = auto()


@dataclass(slots=True, eq=False)
class Atom:
    """``fields`` are the named fields of a map, ``item`` is what else it may hold (None: nothing), or what a list
    holds. A list that is not atomic is a set, or a map if it has ``keys``. ``scalar``: string, numeric, boolean, or
    empty for any. ``default`` is what an absent key of a list item counts as."""

    shape: Shape
    fields: dict[str, Atom] = field(default_factory=dict)
    item: Atom | None = None
    atomic: bool = False
    keys: tuple[str, ...] = ()
    scalar: str = ""
    default: Any = None

    def child(self, name: str) -> Atom:
        """Of a map: what a key holds. Unknown keys are of any type, for those who have checked already."""
        return self.fields.get(name) or self.item or ANY


ANY: Final = Atom(Shape.ANY)
_ANY_MAP: Final = Atom(Shape.MAP, item=ANY)
_ANY_LIST: Final = Atom(Shape.LIST, item=ANY, atomic=True)
_ANY_SCALAR: Final = Atom(Shape.SCALAR)
_SCALARS: Final = {
    Kind.STRING: "string",
    Kind.BYTES: "string",
    Kind.INTEGER: "numeric",
    Kind.NUMBER: "numeric",
    Kind.BOOLEAN: "boolean",
    Kind.TIME: "",
    Kind.MICRO_TIME: "",
    Kind.QUANTITY: "",
    Kind.INT_OR_STRING: "",
}


def resolve(atom: Atom, value: Any) -> Atom:
    """The atom that applies to a value."""
    if atom.shape is not Shape.ANY:
        return atom
    if value is None or isinstance(value, dict):
        return _ANY_MAP
    return _ANY_LIST if isinstance(value, list) else _ANY_SCALAR


def atom_of(api_type: ApiType | None) -> Atom:
    """Compiled at the first call and kept in the type."""
    if api_type is None:
        return ANY
    if api_type.atom is None:
        _compile(api_type)
    atom: Atom = api_type.atom
    return atom


def _compile(api_type: ApiType) -> None:
    match api_type.kind:
        case Kind.STRUCT:
            api_type.atom = _struct(api_type)
        case Kind.MAP:
            atomic = api_type.map_type == "atomic"
            api_type.atom = Atom(Shape.MAP, item=atom_of(api_type.item), atomic=atomic)
        case Kind.LIST:
            api_type.atom = _list(api_type, api_type.list_type, api_type.list_map_keys)
        case kind if kind in _SCALARS:
            api_type.atom = Atom(Shape.SCALAR, scalar=_SCALARS[kind])
        case _:
            api_type.atom = ANY


def _struct(api_type: ApiType) -> Atom:
    """Types refer to themselves: the atom is in place before its fields are."""
    atom = Atom(Shape.MAP, atomic=api_type.map_type == "atomic")
    api_type.atom = atom
    atom.item = ANY if api_type.preserves_unknown else None
    for name, known in api_type.fields.items():
        atom.fields[name] = _field(known)
    return atom


def _field(known: Field) -> Atom:
    """What is said beside a reference to a type goes before what the type says."""
    api_type = known.type
    if api_type.kind is Kind.LIST:
        return _list(api_type, *_list_type(known))
    atom = atom_of(api_type)
    if known.map_type and atom.shape is Shape.MAP:
        atom = replace(atom, atomic=known.map_type == "atomic")
    return atom if known.default is None else replace(atom, default=known.default)


def _list_type(known: Field) -> tuple[str, tuple[str, ...]]:
    if known.list_type:
        return known.list_type, known.list_map_keys
    if known.patch_strategy in ("merge", "merge,retainKeys"):
        key = known.patch_merge_key
        return ("map", (key,)) if key else ("set", ())
    return known.type.list_type, known.type.list_map_keys


def _list(api_type: ApiType, list_type: str, keys: tuple[str, ...]) -> Atom:
    keys = keys if list_type == "map" else ()
    return Atom(Shape.LIST, item=atom_of(api_type.item), atomic=list_type not in ("set", "map"), keys=keys)
