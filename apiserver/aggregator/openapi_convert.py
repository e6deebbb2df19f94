"""(P) OpenAPI v3 of a group version from a server that has version 2 only, as kube-openapi's ``openapiconv`` makes it.

Lossy where version 2 knows less: nullable fields and alternatives are not there to be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apiserver.aggregator.openapi_merge import part
from apiserver.schema.openapi_v3 import REFERENCES, schema

Object = dict[str, Any]
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_OF_SCHEMA: Final = (
    "type",
    "format",
    "items",
    "enum",
    "default",
    "uniqueItems",
    "minimum",
    "maximum",
    "pattern",
)
_JSON: Final = ("application/json",)
_V2: Final = "#/definitions/"


def version3(spec: Mapping[str, Any], path: str) -> Object:
    """``path``: of the group version, as it stands in paths."""
    found = part(spec, [path])
    paths = {name: _path(item) for name, item in found.paths.items()}
    schemas = {name: schema(_referred(value)) for name, value in found.definitions.items()}
    info = spec.get("info") or {"title": "", "version": ""}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _path(item: Mapping[str, Any]) -> Object:
    converted: Object = {}
    for key, value in item.items():
        if key in _METHODS:
            converted[key] = _operation(value)
        elif key == "parameters":
            converted[key] = [_parameter(one) for one in value if one.get("in") != "body"]
        else:
            converted[key] = value
    return converted


def _operation(operation: Mapping[str, Any]) -> Object:
    given = operation.get("parameters") or ()
    consumes, produces = operation.get("consumes") or _JSON, operation.get("produces") or _JSON
    left_out = ("parameters", "consumes", "produces", "schemes", "responses")
    converted = {key: value for key, value in operation.items() if key not in left_out}
    plain = [_parameter(one) for one in given if one.get("in") != "body"]
    if plain:
        converted["parameters"] = plain
    for body in (one for one in given if one.get("in") == "body"):
        required = {"required": True} if body.get("required") else {}
        converted["requestBody"] = {"content": _content(body.get("schema") or {}, consumes), **required}
    responses = operation.get("responses") or {}
    converted["responses"] = {code: _response(value, produces) for code, value in responses.items()}
    return converted


def _parameter(parameter: Mapping[str, Any]) -> Object:
    typed = {key: parameter[key] for key in _OF_SCHEMA if key in parameter}
    rest = {key: value for key, value in parameter.items() if key not in (*_OF_SCHEMA, "collectionFormat")}
    return {**rest, "schema": _referred(typed)}


def _response(response: Mapping[str, Any], produces: Sequence[str]) -> Object:
    converted = {
        key: value for key, value in response.items() if key not in ("schema", "examples", "headers")
    }
    if response.get("schema"):
        converted["content"] = _content(response["schema"], produces)
    return converted


def _content(given: Mapping[str, Any], media_types: Sequence[str]) -> Object:
    converted = schema(_referred(given))
    return {media_type: {"schema": converted} for media_type in media_types}


def _referred(value: Any) -> Any:
    """With references as version 3 writes them."""
    if isinstance(value, list):
        return [_referred(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _referred(item) for key, item in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(_V2):
        result["$ref"] = REFERENCES + reference.removeprefix(_V2)
    return result
