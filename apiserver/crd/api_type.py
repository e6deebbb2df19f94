"""(P) A structural schema as the type that patches and server-side apply work with.

List types, keys, atomic markers and free-form parts mean there what they mean for built-in kinds.
"""

from __future__ import annotations

from typing import Final

from apiserver.crd.structural import Structural
from apiserver.schema.types import ApiType, Field, Kind

_SCALARS: Final = {
    "string": Kind.STRING,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
}
_STRING: Final = ApiType(Kind.STRING, "string")


def api_type(schema: Structural, metadata: ApiType, kind: str) -> ApiType:
    """Of a whole resource; ``metadata`` is the type of ObjectMeta."""
    result = _struct(schema, metadata, kind)
    _add_meta_fields(result, metadata)
    return result


def _add_meta_fields(target: ApiType, metadata: ApiType) -> None:
    target.fields["kind"] = target.fields["apiVersion"] = Field(_STRING)
    target.fields["metadata"] = Field(metadata)


def _struct(schema: Structural, metadata: ApiType, name: str) -> ApiType:
    result = ApiType(Kind.STRUCT, name, required=frozenset(schema.source.get("required") or ()))
    for key, child in schema.properties.items():
        result.fields[key] = _field(child, metadata)
    result.map_type = schema.map_type
    if schema.embedded:
        _add_meta_fields(result, metadata)
    return result


def _field(schema: Structural, metadata: ApiType) -> Field:
    return Field(
        _type(schema, metadata),
        list_type=schema.list_type,
        list_map_keys=schema.map_keys,
        map_type=schema.map_type,
    )


def _type(schema: Structural, metadata: ApiType) -> ApiType:
    if schema.int_or_string:
        return ApiType(Kind.INT_OR_STRING)
    if schema.type == "array" and schema.items is not None:
        item = _type(schema.items, metadata)
        return ApiType(Kind.LIST, item=item, list_type=schema.list_type, list_map_keys=schema.map_keys)
    if schema.type == "object" and (schema.properties or schema.embedded):
        return _struct(schema, metadata, "")
    if schema.type == "object" and isinstance(schema.additional, Structural):
        return ApiType(Kind.MAP, item=_type(schema.additional, metadata), map_type=schema.map_type)
    if schema.type in _SCALARS:
        return ApiType(_SCALARS[schema.type], schema.type)
    return ApiType(Kind.ANY)
