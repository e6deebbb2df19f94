"""All group versions as one OpenAPI v2 document. Pure.

Parameters that many operations share stand once, in ``parameters``; those by which kubectl finds out what the server
can do are written out where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from apiserver.schema.openapi_operations import (
    PATCH,
    OpenApiResource,
    Operation,
    operations,
    parameters,
    query_parameters,
    tag,
)
from apiserver.schema.openapi_v3 import CODES, INT_OR_STRING, QUANTITY, NameOf, patch_types

# Version 2 has no choice of types.
SCALARS: Final[Mapping[str, dict[str, Any]]] = {
    INT_OR_STRING: {"type": "string", "format": "int-or-string"},
    QUANTITY: {"type": "string"},
}
REFERENCES: Final = "#/definitions/"
_MEDIA_TYPES: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_STREAMS: Final = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_WRITTEN_OUT: Final = frozenset({"dryRun", "fieldManager", "fieldValidation", "force"})


def shared() -> dict[str, Any]:
    """The parameters that are referred to."""
    return {name: dict(value) for name, value in parameters().items() if name not in (*_WRITTEN_OUT, "name")}


def paths(resources: Iterable[OpenApiResource], name_of: NameOf) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for resource in resources:
        for operation in operations(resource):
            item = found.setdefault(operation.path, {})
            item[operation.method] = _operation(resource, operation, name_of)
            item["parameters"] = _path_parameters(operation.path, resource.gvk.kind)
    return found


def _path_parameters(path: str, kind: str) -> list[dict[str, Any]]:
    found = [_parameter(name) for name in ("namespace", "path") if f"{{{name}}}" in path]
    if "{name}" in path:
        named = parameters()["name"]
        found.insert(0, {**named, "description": named["description"].replace("{kind}", kind)})
    return [*found, _parameter("pretty")]


def _parameter(name: str) -> dict[str, Any]:
    return dict(parameters()[name]) if name in _WRITTEN_OUT else {"$ref": f"#/parameters/{name}"}


def _operation(resource: OpenApiResource, operation: Operation, name_of: NameOf) -> dict[str, Any]:
    group, version, kind = operation.gvk
    query = [_parameter(name) for name in query_parameters(operation.group)]
    if operation.body is not None:
        query.insert(0, _body(operation, name_of))
    result: dict[str, Any] = {
        "description": operation.description,
        "consumes": list(patch_types(resource, _PATCHES)) if operation.body == PATCH else ["*/*"],
        "produces": _produces(operation),
        "schemes": ["https"],
        "tags": [tag(resource)],
        "operationId": operation.name,
    }
    if query:
        result["parameters"] = query
    result["responses"] = {str(code): _response(operation, code, name_of) for code in (*operation.codes, 401)}
    result["x-kubernetes-action"] = operation.action
    result["x-kubernetes-group-version-kind"] = {"group": group, "kind": kind, "version": version}
    return result


def _produces(operation: Operation) -> list[str]:
    if operation.answer is None:
        return ["text/plain"] if operation.group == "log" else ["*/*"]
    return [*_MEDIA_TYPES, *(_STREAMS if operation.streams else ())]


def _body(operation: Operation, name_of: NameOf) -> dict[str, Any]:
    assert operation.body is not None
    schema = {"$ref": REFERENCES + name_of(operation.body, False)}
    required = {} if operation.method == "delete" else {"required": True}
    return {"name": "body", "in": "body", **required, "schema": schema}


def _response(operation: Operation, code: int, name_of: NameOf) -> dict[str, Any]:
    if code == 401:
        return {"description": CODES[code]}
    schema: dict[str, Any] = {"type": "string"}
    if operation.answer is not None:
        schema = {"$ref": REFERENCES + name_of(operation.answer, operation.listed)}
    return {"description": CODES[code], "schema": schema}
