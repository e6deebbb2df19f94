"""OpenAPI documents for clients: ``/openapi/v2`` and ``/openapi/v3/...``, generated when first asked for.

The definitions are turned back from JSON Schema to OpenAPI (no "or null", references renamed); paths come
from the resource table, with the group-version-kind and action extensions by which kubectl finds the type
of a resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, Protocol

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.schema import openapi_v2_binary
from apiserver.schema.schemas import Schemas

_INFO: Final = {"title": "Kubernetes", "version": "v1.36.2"}
_ACTIONS: Final = {
    # verb: (method, on one object, action as the original names it)
    "list": ("get", False, "list"),
    "create": ("post", False, "post"),
    "deletecollection": ("delete", False, "deletecollection"),
    "get": ("get", True, "get"),
    "update": ("put", True, "put"),
    "patch": ("patch", True, "patch"),
    "delete": ("delete", True, "delete"),
}
_REFERENCES_V2: Final = "#/definitions/"
_REFERENCES_V3: Final = "#/components/schemas/"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# The types that are written as one value. Version 2 has no choice of types; in version 3 kubectl explain
# shows a type by its name only when it has several.
_SCALARS_V2: Final[dict[str, dict[str, Any]]] = {
    _INT_OR_STRING: {"type": "string", "format": "int-or-string"},
    _QUANTITY: {"type": "string"},
}
_SCALARS_V3: Final[dict[str, dict[str, Any]]] = {
    _INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    _QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
}


class OpenApiResource(Protocol):
    """What is needed of a registry resource."""

    @property
    def gvr(self) -> GroupVersionResource: ...
    @property
    def gvk(self) -> GroupVersionKind: ...
    @property
    def namespaced(self) -> bool: ...
    @property
    def verbs(self) -> tuple[str, ...]: ...


def _plain(schema: Any, references: str) -> Any:
    """One schema without JSON Schema's additions."""
    if isinstance(schema, list):
        return [_plain(item, references) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _plain(value, references) for key, value in schema.items()}
    if isinstance(result.get("type"), list):
        result["type"] = next(name for name in result["type"] if name != "null")
    if isinstance(schema.get("$ref"), str):
        result["$ref"] = references + schema["$ref"].removeprefix("#/$defs/")
    return result


def _definition(name: str, definition: Mapping[str, Any], references: str) -> dict[str, Any]:
    scalar = (_SCALARS_V2 if references == _REFERENCES_V2 else _SCALARS_V3).get(name)
    if scalar:
        return scalar
    result: dict[str, Any] = _plain(dict(definition), references)
    for field in ("kind", "apiVersion"):
        result.get("properties", {}).get(field, {}).pop("enum", None)
    return result


class OpenApi:
    def __init__(self, schemas: Schemas, resources: Iterable[OpenApiResource]) -> None:
        self._schemas = schemas
        self._resources = list(resources)
        self.v2 = cache(self._v2)
        self.v2_binary = cache(self._v2_binary)
        self.v3 = cache(self._v3)

    def group_versions(self) -> list[str]:
        """``"v1"``, ``"apps/v1"``, ... in the order of the table."""
        return list(dict.fromkeys(resource.gvr.group_version for resource in self._resources))

    def v3_index(self) -> dict[str, Any]:
        """The answer of ``/openapi/v3``."""
        paths = {}
        for group_version in self.group_versions():
            path = f"{'apis' if '/' in group_version else 'api'}/{group_version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.v3_hash(group_version)}"}
        return {"paths": paths}

    def v3_hash(self, group_version: str) -> str:
        """Depends on what the document is made of, so that it need not be built to be named."""
        kinds = [
            [*item.gvk, item.verbs] for item in self._resources if item.gvr.group_version == group_version
        ]
        return hashlib.sha512(codec.dumps([_INFO, kinds])).hexdigest().upper()

    def _v2(self) -> bytes:
        definitions = {
            name: _definition(name, definition, _REFERENCES_V2)
            for name, definition in self._schemas.definitions.items()
        }
        paths: dict[str, Any] = {}
        for resource in self._resources:
            self._add_paths(paths, resource, _REFERENCES_V2, version=2)
        return codec.dumps({"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": definitions})

    def _v2_binary(self) -> bytes:
        return openapi_v2_binary.encode(codec.decode(self.v2()))

    def _v3(self, group_version: str) -> bytes:
        references = _REFERENCES_V3
        paths: dict[str, Any] = {}
        wanted: list[str] = []
        for resource in self._resources:
            if resource.gvr.group_version == group_version:
                self._add_paths(paths, resource, references, version=3)
                name = self._schemas.definition_name(resource.gvk)
                wanted.extend([name, name + "List"] if name else [])
        schemas = {
            name: _definition(name, self._schemas.definitions[name], references)
            for name in self._closure(wanted)
        }
        return codec.dumps(
            {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}
        )

    def _closure(self, names: list[str]) -> list[str]:
        seen: dict[str, None] = {}
        pending = [*names, "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]
        while pending:
            name = pending.pop()
            if name in seen or name not in self._schemas.definitions:
                continue
            seen[name] = None
            pending.extend(_references(self._schemas.definitions[name]))
        return sorted(seen)

    def _add_paths(
        self, paths: dict[str, Any], resource: OpenApiResource, references: str, version: int
    ) -> None:
        gvr = resource.gvr
        root = f"/apis/{gvr.group_version}" if gvr.group else f"/api/{gvr.version}"
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"{root}{scope}/{gvr.resource}"
        for verb in resource.verbs:
            if verb in _ACTIONS:
                method, single, action = _ACTIONS[verb]
                path = f"{collection}/{{name}}" if single else collection
                operation = self._operation(resource, action, references, version)
                paths.setdefault(path, {})[method] = operation

    def _operation(
        self, resource: OpenApiResource, action: str, references: str, version: int
    ) -> dict[str, Any]:
        group, api_version, kind = resource.gvk
        name = self._schemas.definition_name(resource.gvk)
        if name and action == "list":
            name += "List"
        response: dict[str, Any] = {"description": "OK"}
        if name:
            schema = {"$ref": references + name}
            response |= (
                {"schema": schema} if version == 2 else {"content": {"application/json": {"schema": schema}}}
            )
        operation: dict[str, Any] = {
            "operationId": f"{action}{group.title().replace('.', '')}{api_version.title()}{kind}",
            "responses": {"200": response},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": api_version},
        }
        if action != "list" and action != "get":
            operation["parameters"] = [_FIELD_VALIDATION if version == 2 else _FIELD_VALIDATION_V3]
        return operation


# kubectl looks for this parameter to know whether the server validates fields itself.
_FIELD_VALIDATION: Final = {"name": "fieldValidation", "in": "query", "type": "string", "uniqueItems": True}
_FIELD_VALIDATION_V3: Final = {
    "name": "fieldValidation",
    "in": "query",
    "schema": {"type": "string", "uniqueItems": True},
}


def _references(schema: Any) -> Iterable[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/$defs/")
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
