"""One group version as an OpenAPI v3 document. Pure.

A reference that is described goes into ``allOf``: in version 3 nothing may stand beside a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from apiserver.api.gvk import GroupVersionKind
from apiserver.schema.openapi_operations import (
    PATCH,
    OpenApiResource,
    Operation,
    operations,
    parameters,
    query_parameters,
    tag,
)

INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# kubectl explain shows a type by its name only when it has several.
SCALARS: Final[Mapping[str, dict[str, Any]]] = {
    INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
}
REFERENCES: Final = "#/components/schemas/"
_MEDIA_TYPES: Final = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_STREAMS: Final = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_PATCHES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
CODES: Final = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}
SecurityScheme: Final = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
NameOf = Callable[[GroupVersionKind, bool], str]
"""The definition of a kind, or of its list; empty: there is none."""


def schema(value: Any) -> Any:
    """A schema of version 2 in version 3: references that something stands beside become ``allOf``."""
    if isinstance(value, list):
        return [schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: schema(item) for key, item in value.items()}
    if isinstance(result.get("$ref"), str) and len(result) > 1:
        result["allOf"] = [{"$ref": result.pop("$ref")}]
    return result


def paths(resources: Iterable[OpenApiResource], name_of: NameOf) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for resource in resources:
        for operation in operations(resource):
            item = found.setdefault(operation.path, _path(operation.path, resource.gvk.kind))
            item[operation.method] = _operation(resource, operation, name_of)
    return found


def _path(path: str, kind: str) -> dict[str, Any]:
    """What all methods of a path share."""
    names = [name for name in ("name", "namespace", "path") if f"{{{name}}}" in path]
    shared = [_parameter(name, kind) for name in names]
    return {"parameters": [*shared, _parameter("pretty", kind)]}


def _parameter(name: str, kind: str = "") -> dict[str, Any]:
    known = parameters()[name]
    typed = {key: known[key] for key in ("type", "uniqueItems")}
    rest = {key: value for key, value in known.items() if key not in typed}
    return {**rest, "description": known["description"].replace("{kind}", kind), "schema": typed}


def _operation(resource: OpenApiResource, operation: Operation, name_of: NameOf) -> dict[str, Any]:
    group, version, kind = operation.gvk
    result: dict[str, Any] = {
        "tags": [tag(resource)],
        "description": operation.description,
        "operationId": operation.name,
    }
    if query := query_parameters(operation.group):
        result["parameters"] = [_parameter(name) for name in query]
    if operation.body is not None:
        result["requestBody"] = _body(resource, operation, name_of)
    result["responses"] = {str(code): _response(operation, code, name_of) for code in (*operation.codes, 401)}
    result["x-kubernetes-action"] = operation.action
    result["x-kubernetes-group-version-kind"] = {"group": group, "kind": kind, "version": version}
    return result


def _body(resource: OpenApiResource, operation: Operation, name_of: NameOf) -> dict[str, Any]:
    assert operation.body is not None
    content = {"schema": {"$ref": REFERENCES + name_of(operation.body, False)}}
    types = patch_types(resource, _PATCHES) if operation.body == PATCH else ("*/*",)
    required = {} if operation.method == "delete" else {"required": True}
    return {"content": dict.fromkeys(types, content), **required}


def patch_types(resource: OpenApiResource, known: tuple[str, ...]) -> tuple[str, ...]:
    """Custom resources have no strategic merge patch."""
    custom = getattr(resource, "custom", None) is not None
    return tuple(name for name in known if not (custom and "strategic" in name))


def _response(operation: Operation, code: int, name_of: NameOf) -> dict[str, Any]:
    if code == 401:
        return {"description": CODES[code]}
    types = [*_MEDIA_TYPES, *(_STREAMS if operation.streams else ())]
    if operation.answer is None:
        content, types = {"schema": {"type": "string"}}, ["text/plain" if operation.group == "log" else "*/*"]
    else:
        content = {"schema": {"$ref": REFERENCES + name_of(operation.answer, operation.listed)}}
    return {"description": CODES[code], "content": dict.fromkeys(sorted(types), content)}


def discovery(path: str, kind: str, described: str, name: str, owner: str) -> dict[str, Any]:
    """The path of a discovery document."""
    response = {"description": "OK", "content": {"application/json": {"schema": {"$ref": REFERENCES + kind}}}}
    operation = {
        "tags": [owner],
        "description": described,
        "operationId": name,
        "responses": {"200": response, "401": {"description": CODES[401]}},
    }
    return {path: {"get": operation}}
