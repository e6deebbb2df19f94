"""What a kind does beside being stored: the strategy protocol, with a base that suits kinds without own
behaviour.

Order on create: default, begin_create, prepare_for_create, validate, (stored); on update: default,
begin_update, prepare_for_update, validate_update. Objects are plain dicts; only ``default`` and
``prepare_*`` change them, in place. A kind's own file (``registry/kinds``) subclasses this and mostly sets
class attributes.
"""

from __future__ import annotations

import copy
import ipaddress
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Protocol

from apiserver.api import meta
from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupVersionKind
from apiserver.validation.dispatch import validate_create, validate_update
from apiserver.validation.warnings import WARNINGS

Object = dict[str, Any]
Done = Callable[[bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """What strategies need from outside; ``rng`` picks among free addresses and ports."""

    service_cidr: str = "10.96.0.0/16"
    node_port_range: tuple[int, int] = (30000, 32767)
    allow_loopback_endpoints: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    rng: random.Random = field(default_factory=random.SystemRandom)

    @property
    def service_network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network(self.service_cidr)


class StorageContext(Protocol):
    """Raw storage for reservations: keys as in the store, objects as dicts."""

    async def create(self, key: str, obj: Object) -> bool:
        """False when the key exists already."""
        ...

    async def delete(self, key: str) -> None: ...

    async def list(self, prefix: str) -> list[Object]: ...


async def nothing_to_release(stored: bool) -> None:
    """The callback of kinds that reserve nothing."""


_ALL_METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
_KEPT_BY_STATUS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("apps", "Deployment"): ("labels",),
    ("apiregistration.k8s.io", "APIService"): _ALL_METADATA,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _ALL_METADATA,
    ("storage.k8s.io", "VolumeAttachment"): _ALL_METADATA,
    ("resource.k8s.io", "ResourceClaim"): _ALL_METADATA,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): _ALL_METADATA,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): _ALL_METADATA,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _ALL_METADATA,
}
"""Metadata that an update of the status leaves alone; most kinds let labels and the like change with it."""


def keep_metadata(new: Object, old: Object, fields: tuple[str, ...] = _ALL_METADATA) -> None:
    """The fields of the metadata as they were (``metav1.ResetObjectMetaForStatus``)."""
    for name in fields:
        new["metadata"].pop(name, None)
        if name in old["metadata"]:
            new["metadata"][name] = copy.deepcopy(old["metadata"][name])


class StatusStrategy:
    """Updates through the status subresource: only status (and metadata that is not identity) may change."""

    def __init__(self, main: Strategy) -> None:
        self._main = main

    def prepare_for_update(self, new: Object, old: Object) -> None:
        for name in [key for key in new if key not in ("kind", "apiVersion", "metadata", "status")]:
            if name not in old:
                del new[name]
        for name, value in old.items():
            if name not in ("metadata", "status"):
                new[name] = copy.deepcopy(value)
        keep_metadata(new, old, _KEPT_BY_STATUS.get((self._main.gvk.group, self._main.gvk.kind), ()))
        if "generation" in meta.metadata(old):
            new["metadata"]["generation"] = old["metadata"]["generation"]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_update(self._main.gvk, new, old, self._main.validation_options, status=True)


class Strategy:
    allow_create_on_update: ClassVar[bool] = False
    allow_unconditional_update: ClassVar[bool] = True
    has_status: ClassVar[bool] = False
    keeps_status_on_write: ClassVar[bool] = False
    initial_status: ClassVar[Mapping[str, Any]] = {}
    tracks_generation: ClassVar[bool] = False
    selected_parts: ClassVar[Mapping[str, tuple[str, ...]] | None] = None
    """What `select_fields` looks at, by part of the object; None: it needs the whole."""

    def __init__(self, gvk: GroupVersionKind, namespaced: bool, options: RegistryOptions) -> None:
        self.gvk = gvk
        self.namespaced = namespaced
        self.options = options
        self.validation_options = {"allow_loopback_endpoints": options.allow_loopback_endpoints}
        self._warnings = WARNINGS.get((gvk.group, gvk.kind))
        self.status: StatusStrategy | None = StatusStrategy(self) if self.has_status else None

    @property
    def validates_long(self) -> bool:
        """Whether validating one object may take long: it must then be pure, and is done in a thread."""
        return False

    def default(self, obj: Object) -> None:
        """Fill in what the API defines as default."""

    def prepare_for_create(self, obj: Object) -> None:
        if self.has_status and not self.keeps_status_on_write:
            obj["status"] = copy.deepcopy(dict(self.initial_status))
        if self.tracks_generation:
            obj["metadata"]["generation"] = 1

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_create(self.gvk, obj, self.namespaced, self.validation_options)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        if self.has_status and not self.keeps_status_on_write:
            if "status" in old:
                new["status"] = copy.deepcopy(old["status"])
            else:
                new.pop("status", None)
        if self.tracks_generation:
            generation = meta.generation(old)
            new["metadata"]["generation"] = generation + 1 if self.is_new_generation(new, old) else generation

    def is_new_generation(self, new: Object, old: Object) -> bool:
        """Whether what the user asks for has changed."""
        return desired(new) != desired(old)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_update(self.gvk, new, old, self.validation_options)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """What the client should know of a write that is accepted."""
        return self._warnings(new, old) if self._warnings is not None else []

    def graceful_delete(self, obj: Object, options: Mapping[str, Any]) -> int | None:
        """Seconds until the object goes, or None: at once."""
        return None

    def select_fields(self, obj: Object) -> dict[str, str]:
        fields = {"metadata.name": meta.name(obj)}
        if self.namespaced:
            fields["metadata.namespace"] = meta.namespace(obj)
        return fields

    def from_version(self, obj: Object, group_version: str) -> Object:
        """From the version of a request to the stored one."""
        return obj

    def to_version(self, obj: Object, group_version: str) -> Object:
        """From the stored version to the one asked for; may return ``obj`` itself, never changes it."""
        return obj

    def begin_deletion(self, obj: Object, now: str) -> bool:
        """Whether the deletion only begins: then ``obj`` is what is stored and answered, and stays until its
        finalizers are gone.
        """
        return False

    async def begin_create(self, obj: Object, ctx: StorageContext) -> Done:
        """Reserve what the object needs, writing it into ``obj``; the callback learns whether it was
        stored.
        """
        return nothing_to_release

    async def begin_update(self, new: Object, old: Object, ctx: StorageContext) -> Done:
        return nothing_to_release

    async def after_delete(self, obj: Object, ctx: StorageContext) -> None:
        """Release what the object held."""


def desired(obj: Object) -> Object:
    """All but identity and status."""
    return {
        key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "metadata", "status")
    }


def fill(target: Object, **defaults: Any) -> None:
    """Set what is absent. Values are taken as they are: pass fresh ones."""
    for key, value in defaults.items():
        if target.get(key) is None:
            target[key] = value
