"""From definitions to what the registry serves: one ``Resource`` for each served version, and the type of its bodies.

Fed by the controller with the definitions that are established; what it makes goes into the registry, the
schemas and the OpenAPI documents at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.crd.columns import Columns
from apiserver.crd.conversion import Normalised
from apiserver.crd.custom_type import CheckMetadata, CustomType
from apiserver.crd.definition import Definition, Version
from apiserver.crd.storage_hash import storage_version_hash
from apiserver.crd.strategy import CustomStrategy
from apiserver.crd.structural import Structural
from apiserver.crd.view import Conversion, View
from apiserver.crd.webhook import WebhookConversion
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Custom, FieldLabels, Resource, Subresource

if TYPE_CHECKING:
    from apiserver.crd.webhook import Send
    from apiserver.schema.types import ApiType
    from apiserver.storage.interface import Storage

_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_PART_VERBS: Final = ("get", "patch", "update")
_SCALE: Final = GroupVersionKind("autoscaling", "v1", "Scale")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server lends to its custom resources."""

    storage: Storage
    options: RegistryOptions
    metadata: ApiType
    check_metadata: CheckMetadata
    send: Send


@dataclass(frozen=True, slots=True)
class Served:
    """All of one definition: ``types`` by kind, in the order of ``resources``."""

    definition: Definition
    resources: tuple[Resource, ...]
    types: tuple[CustomType, ...]

    @property
    def fingerprint(self) -> str:
        """For the names of OpenAPI documents."""
        item = self.definition
        return f"{item.name} {item.uid} {item.generation} {item.terminating} {sorted(item.accepted.items())}"

    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        return self.definition.schema_documents()

    async def end(self) -> None:
        for resource in self.resources:
            assert resource.custom is not None
            await resource.custom.view.end()


def served(definition: Definition, parts: Parts) -> Served:
    versions = [version for version in definition.versions if version.served]
    pairs = [_resource(definition, version, parts) for version in versions]
    return Served(definition, tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _resource(definition: Definition, version: Version, parts: Parts) -> tuple[Resource, CustomType]:
    names = definition.accepted
    gvk = GroupVersionKind(definition.group, version.name, names["kind"])

    def schema() -> Structural:
        return definition.schemas[version.name]

    view = View(parts.storage, _conversion(definition, version, schema, parts.send), definition.revision)
    resource = Resource(
        gvr=GroupVersionResource(definition.group, version.name, names["plural"]),
        gvk=gvk,
        singular=names.get("singular") or "",
        namespaced=definition.namespaced,
        verbs=_VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        storage_version_hash=storage_version_hash(
            definition.group, definition.storage_version, names["kind"]
        ),
        subresources=_subresources(version, gvk),
        strategy=CustomStrategy(gvk, definition.namespaced, parts.options, version, schema),
        storage_prefix=definition.storage_prefix,
        storage_version=gvk.group_version,
        field_labels=_field_labels(version),
        custom=Custom(
            list_kind=names.get("listKind") or f"{names['kind']}List",
            columns=Columns(version.columns),
            view=view,
            warning=version.warning,
            terminating=definition.terminating,
        ),
    )
    return resource, CustomType(gvk, schema, parts.check_metadata, parts.metadata)


def _subresources(version: Version, gvk: GroupVersionKind) -> Mapping[str, Subresource]:
    kinds = {"status": gvk, "scale": _SCALE}
    given = {name: kind for name, kind in kinds.items() if version.subresources.get(name) is not None}
    return {name: Subresource(name, kind, _PART_VERBS) for name, kind in given.items()}


def _field_labels(version: Version) -> FieldLabels:
    names = {"metadata.name", "metadata.namespace", *(path[1:] for path in version.selectable)}
    return FieldLabels(frozenset(names), "field label not supported: <FIELD>")


def _conversion(
    definition: Definition, version: Version, schema: Callable[[], Structural], send: Send
) -> Conversion | None:
    """None where the store holds nothing but what this version's schema made."""
    versions = {f"{definition.group}/{known.name}" for known in definition.versions}
    own = f"{definition.group}/{version.name}"
    stored = f"{definition.group}/{definition.storage_version}"
    if len(versions) == 1 and definition.generation == 1:
        return None
    normalised = Normalised(own, stored, schema)
    if definition.conversion.get("strategy") == "Webhook":
        return WebhookConversion(definition.name, definition.conversion, normalised, own, stored, send)
    return normalised


def by_kind(all_served: Sequence[Served]) -> dict[GroupVersionKind, CustomType]:
    return {kind.gvk: kind for served in all_served for kind in served.types}


def in_order(all_served: Sequence[Served]) -> list[Resource]:
    """As discovery lists them: groups by name, versions by rank, resources by name."""
    from apiserver.crd.definition import rank

    found: list[Resource] = [resource for served in all_served for resource in served.resources]
    return sorted(found, key=lambda r: (r.gvr.group, rank(r.gvr.version), r.gvr.resource))
