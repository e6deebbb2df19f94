"""OpenAPI documents for clients: ``/openapi/v2`` and ``/openapi/v3/...``, generated when first asked for.

The definitions are turned back from JSON Schema to OpenAPI (no "or null", references renamed); paths come from the
resource table by way of :mod:`.openapi_operations`, with the group-version-kind and action extensions by which
kubectl finds the type of a resource. ``http.openapi`` serves what this makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind
from apiserver.schema import openapi_v2, openapi_v2_binary, openapi_v3
from apiserver.schema.openapi_custom import CustomSource, combined_hash, definition_name, definitions
from apiserver.schema.openapi_operations import OpenApiResource
from apiserver.schema.schemas import Schemas

_INFO: Final = {"title": "Kubernetes", "version": "v1.36.2"}
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_GROUPS: Final = {
    # path: (kind of the answer, description, operation, tag)
    "api": ("APIVersions", "get available API versions", "getCoreAPIVersions", "core"),
    "apis": ("APIGroupList", "get available API versions", "getAPIVersions", "apis"),
}
_VERSION: Final = "io.k8s.apimachinery.pkg.version.Info"


class OpenApi:
    def __init__(self, schemas: Schemas, resources: Iterable[OpenApiResource]) -> None:
        self._schemas = schemas
        self._resources = list(resources)
        self._custom: tuple[CustomSource, ...] = ()
        self._built_in_v2 = cache(self._v2_parts)
        self._built_in_v3 = cache(self._v3)
        self._by_path: Mapping[str, Sequence[CustomSource]] = {}
        self._made: dict[str, bytes] = {}
        self._remote: tuple[Mapping[str, Any], Mapping[str, Any], str] = ({}, {}, "")
        self._known_paths = frozenset(self.v3_paths())

    def replace_custom(self, sources: Sequence[CustomSource]) -> None:
        """Describe these custom resources and no others from now on. Documents are made when they are asked for."""
        by_path: dict[str, list[CustomSource]] = {}
        for source in sources:
            for path in dict.fromkeys(_path_of(resource.gvr.group_version) for resource in source.resources):
                by_path.setdefault(path, []).append(source)
        self._custom = tuple(sources)
        self._by_path = by_path
        self._made = {}

    def replace_remote(
        self, paths: Mapping[str, Any], definitions: Mapping[str, Any], fingerprint: str
    ) -> None:
        """Of other servers, for version 2: these from now on. ``fingerprint``: empty if there are none."""
        self._remote = (paths, definitions, fingerprint)
        self._made = {}

    def v2_definition(self, name: str) -> Mapping[str, Any] | None:
        """A built-in definition as version 2 has it."""
        known = self._schemas.definitions.get(name)
        return None if known is None else _translator(openapi_v2.REFERENCES, openapi_v2.SCALARS)(name, known)

    def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Made anew after every change of the custom resources."""
        made = self._made
        data = made.get(name)
        if data is None:
            data = made[name] = make()
        return data

    def v2(self) -> bytes:
        return self._once("v2", self._v2)

    def v2_binary(self) -> bytes:
        return self._once("v2 binary", lambda: openapi_v2_binary.encode(codec.decode(self.v2())))

    def v2_hash(self) -> str:
        head, middle, tail = self._built_in_v2()
        own = hashlib.sha512(head + middle + tail).hexdigest()
        return combined_hash(self._custom, own + self._remote[2])

    def v3(self, path: str) -> bytes:
        """``path``: one of :meth:`v3_paths`."""
        if path in self._known_paths:
            return self._built_in_v3(path)
        return self._once(path, lambda: self._v3(path))

    def v3_hash(self, path: str) -> str:
        """Of the bytes; where there are custom resources of their definitions, whose documents nobody may want."""
        sources = self._by_path.get(path)
        if sources:
            return combined_hash(sources, path)
        return hashlib.sha512(self.v3(path)).hexdigest().upper()

    def group_versions(self) -> list[str]:
        """``"v1"``, ``"apps/v1"``, ... in the order of the table."""
        return list(dict.fromkeys(resource.gvr.group_version for resource in self._all()))

    def _all(self) -> list[OpenApiResource]:
        return [*self._resources, *(resource for source in self._custom for resource in source.resources)]

    def v3_paths(self) -> list[str]:
        """What version 3 describes, as the paths that are described: ``api/v1``, ``apis/apps``, ``version``."""
        versions = [_path_of(group_version) for group_version in self.group_versions()]
        groups = [path.rpartition("/")[0] for path in versions if path.startswith("apis/")]
        return list(dict.fromkeys(["api", "apis", *groups, *versions, "version"]))

    def v3_index(self) -> dict[str, Any]:
        """The answer of ``/openapi/v3``. Names every document by its hash, so it makes them all: 0.2 s once."""
        return {"paths": {path: {"serverRelativeURL": self.v3_url(path)} for path in self.v3_paths()}}

    def v3_url(self, path: str) -> str:
        return f"/openapi/v3/{path}?hash={self.v3_hash(path)}"

    def _v2(self) -> bytes:
        """The built-in part with the paths and definitions of custom resources and of other servers put in."""
        head, middle, tail = self._built_in_v2()
        custom = [resource for source in self._custom for resource in source.resources]
        paths = openapi_v2.paths(custom, self._namer())
        named: dict[str, Any] = {}
        for source in self._custom:
            named |= definitions(source, openapi_v2.REFERENCES, v2=True)
        paths, named = {**self._remote[0], **paths}, {**self._remote[1], **named}
        return b"".join([head, _members(paths), middle, _members(named), tail])

    def _v2_parts(self) -> tuple[bytes, bytes, bytes]:
        """The built-in part, open where the paths and the definitions end."""
        plain = _translator(openapi_v2.REFERENCES, openapi_v2.SCALARS)
        known = self._schemas.definitions
        rest = {
            "parameters": openapi_v2.shared(),
            "securityDefinitions": openapi_v3.SecurityScheme,
            "security": [{"BearerToken": []}],
        }
        head = codec.dumps({"swagger": "2.0", "info": _INFO})[:-1]
        paths = codec.dumps(openapi_v2.paths(self._resources, self._namer()))[:-1]
        named = codec.dumps({name: plain(name, definition) for name, definition in known.items()})[:-1]
        return head + b',"paths":' + paths, b'},"definitions":' + named, b"}," + codec.dumps(rest)[1:]

    def _v3(self, path: str) -> bytes:
        resources = [item for item in self._all() if _path_of(item.gvr.group_version) == path]
        found = {**self._discovery(path), **openapi_v3.paths(resources, self._namer())}
        plain = _translator(openapi_v3.REFERENCES, openapi_v3.SCALARS)
        known = self._schemas.definitions
        custom: dict[str, Any] = {}
        for source in self._by_path.get(path, ()):
            group_version = path.removeprefix("apis/")
            custom |= definitions(source, openapi_v3.REFERENCES, v2=False, group_version=group_version)
        referred = [*_references(found, openapi_v3.REFERENCES), *_references(custom, openapi_v3.REFERENCES)]
        schemas = {name: openapi_v3.schema(plain(name, known[name])) for name in self._closure(referred)}
        schemas = dict(sorted({**schemas, **custom}.items()))
        components = {"schemas": schemas, "securitySchemes": openapi_v3.SecurityScheme}
        document = {"openapi": "3.0.0", "info": _INFO, "paths": found, "components": components}
        return codec.dumps({**document, "security": [{"BearerToken": []}]})

    def _discovery(self, path: str) -> dict[str, Any]:
        """The path that lists what there is."""
        if path == "version":
            described = "get the version information for this server"
            return openapi_v3.discovery("/version/", _VERSION, described, "getCodeVersion", "version")
        if path in _GROUPS:
            kind, described, name, owner = _GROUPS[path]
            return openapi_v3.discovery(f"/{path}/", _META + kind, described, name, owner)
        owner = path.replace("/", "_")
        name = "get" + "".join(part.capitalize() for part in path.replace(".", "/").split("/")[1:])
        if path.startswith("apis/") and path.count("/") == 1:
            described = "get information of a group"
            return openapi_v3.discovery(f"/{path}/", f"{_META}APIGroup", described, f"{name}APIGroup", owner)
        described = "get available resources"
        return openapi_v3.discovery(
            f"/{path}/", f"{_META}APIResourceList", described, f"{name}APIResources", owner
        )

    def _namer(self) -> openapi_v3.NameOf:
        def name_of(gvk: GroupVersionKind, listed: bool) -> str:
            if gvk.group == "meta":
                return _META + gvk.kind
            name = self._schemas.definition_name(gvk)
            if name is None and gvk in self._schemas.custom:
                name = definition_name(gvk)
            return (name or f"{_META}Status") + ("List" if listed else "")

        return name_of

    def _closure(self, names: Iterable[str]) -> list[str]:
        seen: dict[str, None] = {}
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in seen or name not in self._schemas.definitions:
                continue
            seen[name] = None
            pending.extend(_references(self._schemas.definitions[name], "#/$defs/"))
        return sorted(seen)


def _members(value: Mapping[str, Any]) -> bytes:
    """To be put into an object that has members already."""
    return b"," + codec.dumps(value)[1:-1] if value else b""


def _path_of(group_version: str) -> str:
    return f"{'apis' if '/' in group_version else 'api'}/{group_version}"


def _translator(
    references: str, scalars: Mapping[str, dict[str, Any]]
) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    def translate(name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        if name in scalars:
            return scalars[name]
        result: dict[str, Any] = _plain(dict(definition), references)
        for field in ("kind", "apiVersion"):
            result.get("properties", {}).get(field, {}).pop("enum", None)
        return result

    return translate


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


def _references(schema: Any, prefix: str) -> Iterable[str]:
    """The names that are referred to."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(prefix)
        for value in schema.values():
            yield from _references(value, prefix)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value, prefix)
