"""Schemas of all built-in types, read from the definitions that kubernetes-validate ships.

The package is located without importing it (its import costs more than everything here). Definitions are
decoded at once, about 20 ms; a type is compiled when an object of it is first seen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from apiserver.api.gvk import GroupVersionKind
from apiserver.schema.check import Checker, complaints
from apiserver.schema.types import ApiType, Definition, Field, Kind, MergeInfo

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
VERSION_DIRECTORY: Final = "v1.36.0-local"
_PREFIX: Final = "#/$defs/"
_SPECIAL: Final = {
    "meta.v1.Time": Kind.TIME,
    "meta.v1.MicroTime": Kind.MICRO_TIME,
    "resource.Quantity": Kind.QUANTITY,
    "intstr.IntOrString": Kind.INT_OR_STRING,
    "meta.v1.FieldsV1": Kind.ANY,
    "runtime.RawExtension": Kind.ANY,
}
_SCHEMA_OR: Final = ("JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")
_SCALARS: Final = {
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "string": Kind.STRING,
}
_KEY_DEFAULTS: Final = {("ContainerPort", "protocol"): "TCP", ("ServicePort", "protocol"): "TCP"}
"""Defaults of keys of lists, which the definitions leave out: (type, field)."""
_GO_SCALARS: Final = {"integer": "int64", "number": "float64", "boolean": "bool", "string": "string"}

_OF_EVERY_GROUP: Final = (".v1.Status", ".v1.DeleteOptions")


class SchemasMissing(RuntimeError):
    """The definitions are not where kubernetes-validate keeps them."""


def definitions_path() -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise SchemasMissing("API schemas not found: install the package kubernetes-validate >= 1.36")
    root = Path(spec.submodule_search_locations[0])
    path = root / "kubernetes-json-schema" / VERSION_DIRECTORY / "_definitions.json"
    if not path.is_file():
        raise SchemasMissing(f"API schemas not found: no {path}; install kubernetes-validate >= 1.36")
    return path


def base_type(definition: Definition) -> str:
    """The JSON type without its "or null"."""
    kind = definition.get("type", "")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "")
    return str(kind)


class CustomKind(Protocol):
    """The type of a custom resource; see ``apiserver.crd.custom_type``."""

    @property
    def api_type(self) -> ApiType: ...

    def decode(self, obj: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """(object without unknown fields, their paths). Raises StatusError."""
        ...


class Schemas:
    """``custom``: types of custom resources by kind; replaced as a whole whenever definitions change."""

    def __init__(self, definitions: dict[str, Definition]) -> None:
        self.definitions = definitions
        self.custom: Mapping[GroupVersionKind, CustomKind] = {}
        self._types: dict[str, ApiType] = {}
        self._checker = Checker()

    @classmethod
    def load(cls) -> Schemas:
        """Raises SchemasMissing."""
        document = msgspec.json.decode(definitions_path().read_bytes())
        return cls(document["$defs"])

    @cached_property
    def _by_gvk(self) -> dict[tuple[str, str, str], str]:
        index: dict[tuple[str, str, str], str] = {}
        for name, definition in self.definitions.items():
            kinds = definition.get("x-kubernetes-group-version-kind") or ()
            for kind in kinds if len(kinds) == 1 or name.endswith(_OF_EVERY_GROUP) else ():
                index.setdefault((kind["group"], kind["version"], kind["kind"]), name)
        return index

    def definition_name(self, gvk: GroupVersionKind) -> str | None:
        return self._by_gvk.get(gvk)

    def has(self, gvk: GroupVersionKind) -> bool:
        return gvk in self._by_gvk

    def type_of(self, gvk: GroupVersionKind) -> ApiType | None:
        name = self._by_gvk.get(gvk)
        if name is None and gvk in self.custom:
            return self.custom[gvk].api_type
        return self._compile_named(name) if name else None

    def named(self, name: str) -> ApiType:
        """The type of a definition, by its full name."""
        return self._compile_named(name)

    def check_metadata(self, gvk: GroupVersionKind, metadata: Any) -> tuple[dict[str, Any], list[str]]:
        """Metadata alone: (normalised, paths of unknown fields). Raises StatusError (400)."""
        return self._checker.check_part(gvk, self.named(OBJECT_META), metadata, "ObjectMeta")

    def check(
        self,
        gvk: GroupVersionKind,
        obj: dict[str, Any],
        raw: bytes | None = None,
        *,
        converting: bool = False,
    ) -> tuple[dict[str, Any], list[str]]:
        """(object without unknown fields and normalised as the original's decoder does, complaints).

        Complaints are ``unknown field "spec.foo"`` and, when the ``raw`` JSON is given, ``duplicate
        field "a"``. Raises StatusError (400) when a value does not fit its type: in the words of the JSON
        decoder, or when ``converting`` in those of the converter of patched objects.
        """
        custom = self.custom.get(gvk)
        if custom is not None:
            obj, unknown = custom.decode(obj)
            return obj, complaints(unknown, raw)
        api_type = self.type_of(gvk)
        if api_type is None:
            return obj, []
        return self._checker.check(gvk, api_type, obj, raw, converting=converting)

    def merge_info(self, gvk: GroupVersionKind, path: Sequence[str]) -> MergeInfo | None:
        """For the field at ``path`` (field names; list and map levels are stepped through). None if
        unknown.
        """
        current = self.type_of(gvk)
        found: Field | None = None
        for name in path:
            current = _element(current)
            if current is None:
                return None
            if current.kind is Kind.MAP:
                current, found = current.item, None
                continue
            found = current.fields.get(name)
            current = found.type if found else None
        if found is None:
            return MergeInfo() if current is not None else None
        return MergeInfo(
            found.patch_strategy, found.patch_merge_key, found.list_type, found.list_map_keys, found.map_type
        )

    def _compile_named(self, name: str) -> ApiType:
        known = self._types.get(name)
        if known is not None:
            return known
        short = ".".join(name.split(".")[-3:])
        for suffix, kind in _SPECIAL.items():
            if short.endswith(suffix):
                self._types[name] = ApiType(kind, "v1." + name.rsplit(".", 1)[-1])
                return self._types[name]
        if name.endswith(_SCHEMA_OR):
            self._types[name] = ApiType(Kind.SCHEMA_OR, name.rsplit(".", 1)[-1])
            self._types[name].item = self._compile_named(name.rpartition(".")[0] + ".JSONSchemaProps")
            return self._types[name]
        definition = self.definitions[name]
        compiled = ApiType(Kind.STRUCT, name.rsplit(".", 1)[-1])
        self._types[name] = compiled
        self._fill(compiled, definition)
        return compiled

    def _fill(self, target: ApiType, definition: Definition) -> None:
        properties = definition.get("properties")
        if properties is None:
            plain = self._compile(definition)
            target.kind, target.item = plain.kind, plain.item
            return
        target.required = frozenset(definition.get("required") or ())
        target.map_type = definition.get("x-kubernetes-map-type", "")
        for name, schema in properties.items():
            target.fields[name] = self._field(schema)
            target.fields[name].default = _KEY_DEFAULTS.get((target.name, name))

    def _field(self, schema: Definition) -> Field:
        return Field(
            self._compile(schema),
            schema.get("x-kubernetes-patch-strategy", ""),
            schema.get("x-kubernetes-patch-merge-key", ""),
            schema.get("x-kubernetes-list-type", ""),
            tuple(schema.get("x-kubernetes-list-map-keys") or ()),
            schema.get("x-kubernetes-map-type", ""),
        )

    def _compile(self, schema: Definition) -> ApiType:
        reference = schema.get("$ref")
        if reference:
            return self._compile_named(reference.removeprefix(_PREFIX))
        kind, format = base_type(schema), schema.get("format", "")
        if kind == "array":
            return ApiType(Kind.LIST, item=self._compile(schema.get("items") or {}))
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return ApiType(Kind.MAP, item=self._compile(schema["additionalProperties"]))
        if kind == "string" and format == "byte":
            return ApiType(Kind.BYTES, "[]uint8")
        if kind in _SCALARS:
            name = format if format in ("int32", "int64") else _GO_SCALARS[kind]
            return ApiType(_SCALARS[kind], name)
        return ApiType(Kind.ANY)


def _element(current: ApiType | None) -> ApiType | None:
    """Lists are transparent in paths."""
    while current is not None and current.kind is Kind.LIST:
        current = current.item
    return current
