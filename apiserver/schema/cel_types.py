"""(P) Types of the API as CEL types, for the type checking of admission policies.

The same rules as for schemas of custom resources (``crd.cel_types``): names that are no identifiers are escaped,
quantities are strings, what has no type of its own is ``dyn``. A type that holds itself is ``dyn`` inside.
"""

from __future__ import annotations

from typing import Final

from apiserver.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    object_of,
)
from apiserver.crd.cel_types import escaped
from apiserver.schema.types import ApiType, Kind

_SCALARS: Final = {
    Kind.STRING: STRING,
    Kind.INTEGER: INT,
    Kind.NUMBER: DOUBLE,
    Kind.BOOLEAN: BOOL,
    Kind.BYTES: BYTES,
    Kind.TIME: TIMESTAMP,
    Kind.MICRO_TIME: TIMESTAMP,
    Kind.QUANTITY: STRING,
}


def cel_type(api_type: ApiType | None, name: str = "") -> Type:
    """``name``: of the outermost type, if not its own."""
    return _type(api_type, name, ())


def _type(api_type: ApiType | None, name: str, inside: tuple[int, ...]) -> Type:
    if api_type is None or id(api_type) in inside:
        return DYN
    inner = (*inside, id(api_type))
    match api_type.kind:
        case Kind.STRUCT if api_type.fields:
            return _struct(api_type, name, inner)
        case Kind.LIST:
            return list_of(_type(api_type.item, "", inner))
        case Kind.MAP:
            return map_of(STRING, _type(api_type.item, "", inner))
    return _SCALARS.get(api_type.kind, DYN)


def _struct(api_type: ApiType, name: str, inside: tuple[int, ...]) -> Type:
    fields: dict[str, tuple[str, Type]] = {}
    for key, field in api_type.fields.items():
        shown = escaped(key)
        if shown is not None:
            fields[shown] = (key, _type(field.type, "", inside))
    return object_of(name or api_type.name, fields)
