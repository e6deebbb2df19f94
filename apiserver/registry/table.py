"""The table of resources: what is served under which name, and each kind's strategy.

Built-in resources come at start from ``data/resources.json`` (facts of the original's discovery); a kind without own
behaviour needs nothing but its line in that file. Custom resources are put in by ``apiserver.crd`` whenever their
definitions change, all at once. The HTTP layer looks both up alike, by path, and discovery lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources as package_files
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from apiserver.api import errors
from apiserver.api.gvk import GroupVersion, GroupVersionKind, GroupVersionResource
from apiserver.registry.kinds.catalogue import has_own_strategy, strategy_class
from apiserver.registry.strategy import RegistryOptions, Strategy

if TYPE_CHECKING:
    from apiserver.http.scope import Services

_PREFIXES: Final = {
    # (group, plural): the original's historic storage names
    ("", "replicationcontrollers"): "controllers",
    ("", "endpoints"): "services/endpoints",
    ("", "services"): "services/specs",
    ("", "nodes"): "minions",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}
_STORED_AS: Final = {
    # (group, kind): group/version in which it is stored, where several are served
    ("autoscaling", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("events.k8s.io", "Event"): "v1",
}


@dataclass(frozen=True, slots=True)
class Subresource:
    name: str
    gvk: GroupVersionKind
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldLabels:
    """Field selector labels a kind accepts, and the words in which it refuses others."""

    accepted: frozenset[str]
    refusal: str

    def check(self, field: str) -> None:
        """Raises StatusError (400)."""
        if field not in self.accepted:
            raise errors.bad_request(self.refusal.replace("<FIELD>", field))


class ColumnPrinter(Protocol):
    def definitions(self) -> list[dict[str, Any]]: ...
    def cells(self, obj: dict[str, Any], now: datetime) -> list[Any]: ...


class ResourceView(Protocol):
    def services(self, services: Services) -> Services:
        """The server's parts, with storage and caches that speak the resource's version."""
        ...

    async def read(self, value: bytes) -> bytes:
        """A stored value in the resource's version."""
        ...

    async def written(self, value: bytes) -> bytes:
        """A value in the storage version."""
        ...

    async def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Custom:
    """What only a definition says of a resource. ``warning``: for every request, empty if none."""

    list_kind: str
    columns: ColumnPrinter
    view: ResourceView
    warning: str = ""
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    gvr: GroupVersionResource
    gvk: GroupVersionKind
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    storage_version_hash: str
    subresources: Mapping[str, Subresource]
    strategy: Strategy
    storage_prefix: str
    storage_version: str
    field_labels: FieldLabels
    custom: Custom | None = None

    @property
    def columns(self) -> ColumnPrinter | None:
        """Those of a custom resource."""
        return None if self.custom is None else self.custom.columns

    def key(self, namespace: str, name: str) -> str:
        """Where one object is stored."""
        return (
            f"{self.storage_prefix}/{namespace}/{name}"
            if self.namespaced
            else f"{self.storage_prefix}/{name}"
        )


def _data(name: str) -> Any:
    return msgspec.json.decode((package_files.files("apiserver.registry") / "data" / name).read_bytes())


def _gvk(text: str, kind: str, default: GroupVersion) -> GroupVersionKind:
    group_version = GroupVersion.parse(text) if text else default
    return GroupVersionKind(group_version.group, group_version.version, kind)


def _subresources(entry: Mapping[str, Any], default: GroupVersion) -> dict[str, Subresource]:
    result = {}
    for name, item in (entry.get("subresources") or {}).items():
        version = item.get("groupVersion") or ""
        if not version and item.get("version"):
            version = str(GroupVersion(item.get("group", ""), item["version"]))
        result[name] = Subresource(
            name, _gvk(version, item.get("kind", ""), default), tuple(item.get("verbs", ()))
        )
    return result


def _field_labels(facts: Mapping[str, Any], gvk: GroupVersionKind, namespaced: bool) -> FieldLabels:
    fact = facts.get(f"{gvk.group_version}/{gvk.kind}")
    if fact is None:
        names = ["metadata.name", "metadata.namespace"]
        refusal = '"<FIELD>" is not a known field selector: only "metadata.name", "metadata.namespace"'
        return FieldLabels(frozenset(names), refusal)
    refusals = fact.get("rejection") or ["400: field label not supported: <FIELD>"]
    return FieldLabels(frozenset(fact["accepted"]), refusals[0].partition(": ")[2])


class Registry:
    def __init__(self, resources: list[Resource]) -> None:
        self._built_in = resources
        self._groups = {resource.gvr.group for resource in resources}
        self.complete = False
        self._serve([])

    def replace_custom(self, custom: list[Resource]) -> None:
        """Serve these custom resources and no others from now on. ``complete``: that was done once."""
        self._serve(custom)
        self.complete = True

    def _serve(self, custom: list[Resource]) -> None:
        """Built-in resources go first where names are the same."""
        known = {tuple(resource.gvr) for resource in self._built_in}
        self.resources = self._built_in + [item for item in custom if tuple(item.gvr) not in known]
        self._by_path = {tuple(resource.gvr): resource for resource in self.resources}
        self._by_kind: dict[tuple[str, ...], Resource] = {}
        self.groups: dict[str, dict[str, list[Resource]]] = {}
        """By group and version, in the table's order; the core group under the empty name."""
        for resource in self.resources:
            self._by_kind.setdefault(tuple(resource.gvk), resource)
            versions = self.groups.setdefault(resource.gvr.group, {})
            versions.setdefault(resource.gvr.version, []).append(resource)
        self.documents: dict[str, tuple[bytes, str]] = {}
        """(bytes, ETag) of what was made of all this, by whoever made it; forgotten when it changes."""

    def is_built_in(self, group: str) -> bool:
        return group in self._groups

    @classmethod
    def default(cls, options: RegistryOptions) -> Registry:
        facts = _data("field_selectors.json")
        strategies: dict[tuple[str, str], Strategy] = {}
        resources: list[Resource] = []
        for group_version, entries in _data("resources.json").items():
            parsed = GroupVersion.parse(group_version)
            resources.extend(_resource(entry, parsed, facts, strategies, options) for entry in entries)
        return cls(resources)

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def kind(self, gvk: GroupVersionKind) -> Resource | None:
        return self._by_kind.get(tuple(gvk))


def _resource(
    entry: Mapping[str, Any],
    version: GroupVersion,
    facts: Mapping[str, Any],
    strategies: dict[tuple[str, str], Strategy],
    options: RegistryOptions,
) -> Resource:
    gvk = GroupVersionKind(version.group, version.version, entry["kind"])
    stored = GroupVersion.parse(_STORED_AS.get((gvk.group, gvk.kind), gvk.group_version))
    stored_kind = GroupVersionKind(stored.group, stored.version, gvk.kind)
    namespaced = bool(entry["namespaced"])
    # Versions of one kind share the strategy of the stored version, unless the other group has its own.
    identity = (gvk.group if has_own_strategy(gvk.group, gvk.kind) else stored.group, gvk.kind)
    if identity not in strategies:
        strategies[identity] = strategy_class(*identity)(stored_kind, namespaced, options)
    plural = entry["plural"]
    return Resource(
        gvr=GroupVersionResource(version.group, version.version, plural),
        gvk=gvk,
        singular=entry["singular"],
        namespaced=namespaced,
        verbs=tuple(entry["verbs"]),
        short_names=tuple(entry.get("shortNames") or ()),
        categories=tuple(entry.get("categories") or ()),
        storage_version_hash=entry.get("storageVersionHash", ""),
        subresources=_subresources(entry, version),
        strategy=strategies[identity],
        storage_prefix="/registry/" + _PREFIXES.get((version.group, plural), plural),
        storage_version=str(stored),
        field_labels=_field_labels(facts, gvk, namespaced),
    )
