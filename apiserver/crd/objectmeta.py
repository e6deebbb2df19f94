"""(P) Metadata inside custom resources: at the root, and in the resources that a schema embeds.

Metadata has the fields of every object whatever the schema says: others are pruned, values of another type
refused. Source: apiextensions ``pkg/apiserver/schema/objectmeta``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid, required
from apiserver.crd.structural import Structural
from apiserver.validation.objectmeta import validate_annotations, validate_labels

Object = dict[str, Any]
Check = Callable[[Object, str], Object]
"""(metadata, where it stands) → the metadata as it may be."""


def embedded(value: Any, schema: Structural, path: Path) -> Iterator[tuple[Object, Path]]:
    """The embedded resources inside ``value``."""
    if isinstance(value, dict):
        if schema.embedded:
            yield value, path
        for name, item in value.items():
            inner = schema.properties.get(name, schema.additional)
            if isinstance(inner, Structural):
                where = path.child(name) if name in schema.properties else path.key(name)
                yield from embedded(item, inner, where)
    elif isinstance(value, list) and schema.items is not None:
        for at, item in enumerate(value):
            yield from embedded(item, schema.items, path.index(at))


def has_embedded(schema: Structural) -> bool:
    return schema.embedded or any(has_embedded(child) for child in schema.children())


def validate_embedded(obj: Object, schema: Structural) -> list[FieldError]:
    found: list[FieldError] = []
    for resource, path in embedded(obj, schema, Path()):
        found += _type(resource.get("apiVersion"), path.child("apiVersion"), _check_api_version)
        found += _type(resource.get("kind"), path.child("kind"), _check_kind)
        metadata = resource.get("metadata")
        if isinstance(metadata, dict):
            where = path.child("metadata")
            found += _name(metadata, where)
            found += validate_labels(metadata.get("labels") or {}, where.child("labels"))
            found += validate_annotations(metadata.get("annotations") or {}, where.child("annotations"))
    return found


def _type(value: Any, path: Path, check: Callable[[str], list[str]]) -> list[FieldError]:
    if not value:
        return [required(path, "must not be empty")]
    if not isinstance(value, str):
        return [invalid(path, value, "must be a string")]
    return [invalid(path, value, text) for text in check(value)]


def _check_api_version(value: str) -> list[str]:
    group, slash, version = value.rpartition("/")
    if "/" in group:
        return [f"unexpected GroupVersion string: {value}"]
    texts = names.check_dns1035_label(version) if not slash or group else ["must not be empty"]
    return texts if not group else names.check_dns1123_subdomain(group) + texts


def _check_kind(value: str) -> list[str]:
    texts = names.check_dns1035_label(value.lower())
    return [f"may have mixed case, but should otherwise match: {', '.join(texts)}"] if texts else []


def _name(metadata: Object, path: Path) -> list[FieldError]:
    name = metadata.get("name") or ""
    return (
        [invalid(path.child("name"), name, text) for text in names.check_dns1123_subdomain(name)]
        if name
        else []
    )
