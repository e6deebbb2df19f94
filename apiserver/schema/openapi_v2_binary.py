"""The OpenAPI v2 document in protobuf, the only form in which kubectl and client-go read it.

A pure function of what `openapi` makes. Messages are those of gnostic's ``openapiv2/OpenAPIv2.proto``: each is a
table of the JSON keys that our documents use, with field number and encoder. Extensions (``x-...``) travel as YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import codec

# One way in, two out: see kube-openapi's handler, which renames the type that clients ask for.
ASKED_AS: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_LEFT_OUT: Final = frozenset({"security", "securityDefinitions"})  # nobody who reads this form logs in by it

Encoder = Callable[[Any], bytes]
Fields = Mapping[str, tuple[int, Encoder]]


def encode(document: Mapping[str, Any]) -> bytes:
    """``document`` is a whole OpenAPI v2 document of ours; unknown keys raise KeyError rather than get lost."""
    told = {key: value for key, value in document.items() if key not in _LEFT_OUT}
    return _message(_DOCUMENT, told, extensions=16)


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _message(fields: Fields, value: Mapping[str, Any], extensions: int = 0) -> bytes:
    parts = []
    for key, item in value.items():
        if key.startswith("x-"):
            parts.append(_field(extensions, _named(key, _any(item))))
            continue
        number, encoder = fields[key]
        if encoder is _flag:
            parts.append(_varint(number << 3) + _flag(item))
        else:
            repeated = item if isinstance(item, list) and encoder in _REPEATED else [item]
            parts.extend(_field(number, encoder(one)) for one in repeated)
    return b"".join(parts)


def _text(value: str) -> bytes:
    return value.encode()


def _flag(value: bool) -> bytes:
    return _varint(int(value))


def _any(value: Any) -> bytes:
    """JSON is YAML."""
    return _field(2, codec.dumps(value))


def _named(name: str, payload: bytes) -> bytes:
    return _field(1, name.encode()) + _field(2, payload)


def _map(number: int, encoder: Encoder) -> Encoder:
    def encode_map(values: Mapping[str, Any]) -> bytes:
        return b"".join(_field(number, _named(name, encoder(value))) for name, value in values.items())

    return encode_map


def _schema(value: Mapping[str, Any]) -> bytes:
    return _message(_SCHEMA, value, extensions=31)


def _in(number: int, encoder: Encoder) -> Encoder:
    """A message of one field."""
    return lambda value: _field(number, encoder(value))


def _parameter(value: Mapping[str, Any]) -> bytes:
    """One of a body, of the query or of the path."""
    if value["in"] == "body":
        return _field(1, _message(_BODY_PARAMETER, value))
    query = value["in"] == "query"
    fields = _message(_QUERY_PARAMETER if query else _PATH_PARAMETER, value)
    return _field(2, _field(3 if query else 4, fields))


def _parameter_item(value: Mapping[str, Any]) -> bytes:
    """A parameter, or a reference to one that many share."""
    if "$ref" in value:
        return _field(2, _field(1, value["$ref"].encode()))
    return _field(1, _parameter(value))


def _response(value: Mapping[str, Any]) -> bytes:
    return _field(1, _message(_RESPONSE, value, extensions=5))


def _operation(value: Mapping[str, Any]) -> bytes:
    return _message(_OPERATION, value, extensions=13)


def _path(value: Mapping[str, Any]) -> bytes:
    return _message(_PATH, value, extensions=10)


_REPEATED: Final = (_text, _parameter_item)
_SCHEMA: Final[Fields] = {
    "$ref": (1, _text),
    "format": (2, _text),
    "description": (4, _text),
    "required": (19, _text),
    "additionalProperties": (21, _in(1, _schema)),
    "type": (22, _in(1, _text)),
    "items": (23, _in(1, _schema)),
    "properties": (25, _map(1, _schema)),
}
_BODY_PARAMETER: Final[Fields] = {
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _flag),
    "schema": (5, _schema),
}
_QUERY_PARAMETER: Final[Fields] = {
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "uniqueItems": (20, _flag),
}
_PATH_PARAMETER: Final[Fields] = {
    "required": (1, _flag),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "uniqueItems": (19, _flag),
}
_RESPONSE: Final[Fields] = {"description": (1, _text), "schema": (2, _in(1, _schema))}
_OPERATION: Final[Fields] = {
    "tags": (1, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _text),
    "consumes": (7, _text),
    "parameters": (8, _parameter_item),
    "responses": (9, _map(1, _response)),
    "schemes": (10, _text),
}
_PATH: Final[Fields] = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "options": (6, _operation),
    "head": (7, _operation),
    "patch": (8, _operation),
    "parameters": (9, _parameter_item),
}
_INFO: Final[Fields] = {"title": (1, _text), "version": (2, _text)}
_DOCUMENT: Final[Fields] = {
    "swagger": (1, _text),
    "info": (2, lambda value: _message(_INFO, value)),
    "paths": (8, _map(2, _path)),
    "definitions": (9, _map(1, _schema)),
    "parameters": (10, _map(1, _parameter)),
}
