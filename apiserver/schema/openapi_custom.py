"""(P) Custom resources in the OpenAPI documents: definitions from their schemas, named after their reversed group.

Version 3 says what the schema says; version 2 has no junctors and no null, so what needs them is left out
there. Source: apiextensions ``pkg/controller/openapi/builder``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from apiserver.api.gvk import GroupVersionKind

Schema = Mapping[str, Any]
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_API_VERSION_TEXT: Final = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND_TEXT: Final = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_METADATA_TEXT: Final = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_LIST_TEXT: Final = (
    "Standard list metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_NOT_IN_V2: Final = ("anyOf", "allOf", "oneOf", "not")
_KEPT_OF_PRESERVED: Final = ("description", "title", "default", "x-kubernetes-preserve-unknown-fields")


class CustomSource(Protocol):
    """One definition. ``resources``: those that are served, as the registry has them."""

    @property
    def resources(self) -> Sequence[Any]: ...

    @property
    def fingerprint(self) -> str:
        """Changes with everything that the documents say, and is the same on every server."""
        ...

    def documents(self) -> Mapping[str, Schema]:
        """``openAPIV3Schema`` by version."""
        ...


def definition_name(gvk: GroupVersionKind) -> str:
    """``com.example.stable.v1.CronTab``"""
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])


def combined_hash(sources: Sequence[CustomSource], salt: str = "") -> str:
    """A name for what documents of these definitions say, without making them."""
    text = "\n".join(sorted(source.fingerprint for source in sources))
    return hashlib.sha512(f"{salt}\n{text}".encode()).hexdigest().upper()


def definitions(
    source: CustomSource, references: str, *, v2: bool, group_version: str = ""
) -> dict[str, Any]:
    """By name, of all served versions or one. ``references``: what references begin with."""
    documents = source.documents()
    found: dict[str, Any] = {}
    for resource in source.resources:
        gvk, custom = resource.gvk, resource.custom
        if group_version in ("", gvk.group_version):
            name = definition_name(gvk)
            found[name] = _kind(documents.get(gvk.version) or {}, gvk, references, v2=v2)
            found[f"{name}List"] = _list(gvk, custom.list_kind, references + name, references)
    return found


def _kind(schema: Schema, gvk: GroupVersionKind, references: str, *, v2: bool) -> dict[str, Any]:
    preserves = schema.get("x-kubernetes-preserve-unknown-fields")
    if v2 and preserves:
        result: dict[str, Any] = {"type": "object"}
    else:
        result = _plain(schema, references, v2=v2)
        result["properties"] = {**(result.get("properties") or {}), **_meta_fields(references)}
    result["type"] = "object"
    result["x-kubernetes-group-version-kind"] = [_gvk(gvk.group, gvk.version, gvk.kind)]
    return result


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _meta_fields(references: str) -> dict[str, Any]:
    return {
        "apiVersion": {"type": "string", "description": _API_VERSION_TEXT},
        "kind": {"type": "string", "description": _KIND_TEXT},
        "metadata": _referring(references, f"{_META}ObjectMeta", _METADATA_TEXT),
    }


def _referring(references: str, name: str, description: str) -> dict[str, Any]:
    """In version 3 nothing may stand beside a reference."""
    reference = {"$ref": references + name}
    if references.startswith("#/components"):
        return {"description": description, "allOf": [reference]}
    return {"description": description, **reference}


def _list(gvk: GroupVersionKind, list_kind: str, reference: str, references: str) -> dict[str, Any]:
    items = {
        "description": f"List of {gvk.kind.lower()}s. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
        "type": "array",
        "items": {"$ref": reference},
    }
    fields = _meta_fields(references)
    fields["metadata"] = _referring(references, f"{_META}ListMeta", _LIST_TEXT)
    return {
        "description": f"{list_kind} is a list of {gvk.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**fields, "items": items},
        "x-kubernetes-group-version-kind": [_gvk(gvk.group, gvk.version, list_kind)],
    }


def _plain(schema: Schema, references: str, *, v2: bool) -> dict[str, Any]:
    """A schema as the document has it; embedded resources get the fields that they have by being such."""
    if v2:
        schema = _for_v2(schema)
    result = {key: value for key, value in schema.items() if key not in _NESTED}
    for key in ("items", "additionalProperties", "not"):
        value = schema.get(key)
        if isinstance(value, Mapping):
            result[key] = _plain(value, references, v2=v2)
        elif value is not None:
            result[key] = value
    for key in ("allOf", "anyOf", "oneOf"):
        if schema.get(key):
            result[key] = [_plain(inner, references, v2=v2) for inner in schema[key]]
    properties = schema.get("properties")
    if properties:
        result["properties"] = {name: _plain(inner, references, v2=v2) for name, inner in properties.items()}
    if schema.get("x-kubernetes-embedded-resource"):
        result["properties"] = {**(result.get("properties") or {}), **_meta_fields(references)}
    return result


_NESTED: Final = frozenset({"items", "additionalProperties", "not", "allOf", "anyOf", "oneOf", "properties"})


def _for_v2(schema: Schema) -> Schema:
    """What version 2 can say of it; clients take what is not said as free."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {key: schema[key] for key in _KEPT_OF_PRESERVED if key in schema}
    result = {key: value for key, value in schema.items() if key not in _NOT_IN_V2}
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    if result.pop("nullable", False):
        for key in ("type", "items", "properties", "additionalProperties"):
            result.pop(key, None)
    return result
