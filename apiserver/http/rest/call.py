"""On whose behalf and under which options an operation runs, and how a resource's objects are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apiserver.admission.interface import Attributes
from apiserver.api import codec, errors
from apiserver.api.field_errors import FieldError
from apiserver.auth import rbac
from apiserver.auth.user import LOOPBACK_USER, User
from apiserver.http.scope import Object, Services
from apiserver.patch.apply import managed
from apiserver.storage.interface import KeyExists, RevisionMismatch, Storage, Stored

if TYPE_CHECKING:
    from apiserver.registry.table import Resource


_BROKEN_OWNERS: Final = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated "
    "mutating admission controller; please fix your requests"
)


def _ignore(_: str) -> None:
    """The server's own calls have nobody to warn."""


def _forget(key: str, value: str) -> None:
    """The server's own calls are in no audit log."""


@dataclass(slots=True)
class Call:
    """``options`` is the Create, Update, Patch or DeleteOptions object that admission sees."""

    services: Services
    resource: Resource
    user: User = LOOPBACK_USER
    dry_run: bool = False
    subresource: str = ""
    warn: Callable[[str], None] = _ignore
    annotate: Callable[[str, str], None] = _forget
    options: Object | None = None
    create_to_ask: bool = False
    """An update that turns out to create: whether the user may do that is asked then."""

    def key(self, namespace: str, name: str) -> str:
        return self.resource.key(namespace, name)

    @property
    def reservations(self) -> Reservations:
        """What strategies keep beside their objects: allocated addresses and ports."""
        return Reservations(self.services.storage)

    @property
    def ttl(self) -> int:
        return self.services.config.event_ttl if self.resource.gvr.resource == "events" else 0

    def decode(self, stored: Stored) -> Object:
        """A fresh object in the resource's own version."""
        return served(self.resource, codec.decode_stored(stored.value, stored.revision))

    def encode(self, obj: Object) -> bytes:
        return codec.encode(to_stored(self.resource, obj))

    async def read(self, namespace: str, name: str) -> Stored:
        stored, _ = await self.services.storage.get(self.key(namespace, name))
        if stored is None:
            raise errors.not_found(self.resource.gvr.group_resource, name)
        return stored

    def attributes(
        self, operation: str, namespace: str, name: str, obj: Object | None, old: Object | None
    ) -> Attributes:
        return Attributes(
            operation=operation,
            gvr=self.resource.gvr,
            subresource=self.subresource,
            gvk=self.resource.gvk,
            namespace=namespace,
            name=name,
            obj=obj,
            old=old,
            user=self.user,
            dry_run=self.dry_run,
            options=self.options or {},
            warn=self.warn,
            annotate=self.annotate,
        )

    async def admit(self, attributes: Attributes) -> Object:
        """The object that mutating admission made of the given one; it may not break who owns what."""
        assert attributes.obj is not None
        before = attributes.obj["metadata"].get("managedFields")
        await self.services.admission.admit(attributes)
        obj = attributes.obj
        after = obj["metadata"].get("managedFields")
        if after is not before:
            self._keep_owners(obj, before, after)
        return obj

    def _keep_owners(self, obj: Object, before: Any, after: Any) -> None:
        try:
            managed.decode(after)
        except managed.BadManagedFields as exc:
            obj["metadata"]["managedFields"] = before
            if not before:
                del obj["metadata"]["managedFields"]
            self.warn(f"{_BROKEN_OWNERS}: {exc}")

    async def may_create(self, namespace: str, name: str) -> None:
        """Raises 403."""
        if not self.create_to_ask:
            return
        gvr = self.resource.gvr
        asked = rbac.Attributes(
            self.user, "create", gvr.group, gvr.resource, self.subresource, namespace, name
        )
        allowed, reason = await self.services.authorizer.decide(asked)
        if not allowed:
            raise errors.forbidden(gvr.group_resource, name, reason)

    async def validated(self, name: str, validate: Callable[..., list[FieldError]], *objects: Object) -> None:
        """Raises 422. What may take long does so in a thread: the event loop serves others meanwhile."""
        long = self.resource.strategy.validates_long
        self.check(name, await asyncio.to_thread(validate, *objects) if long else validate(*objects))

    def check(self, name: str, found: list[FieldError]) -> None:
        if found:
            raise errors.invalid(self.resource.gvk.group_kind, name, found)


class Reservations:
    """The registry's ``StorageContext`` over the store."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, key: str, obj: Object) -> bool:
        try:
            await self._storage.create(key, codec.encode(obj))
        except KeyExists:
            return False
        return True

    async def delete(self, key: str) -> None:
        stored, _ = await self._storage.get(key)
        while stored is not None:
            try:
                await self._storage.delete(key, stored.revision)
                return
            except RevisionMismatch as exc:
                stored = exc.current

    async def list(self, prefix: str) -> list[Object]:
        listed = await self._storage.list(prefix)
        return [codec.decode(stored.value) for stored in listed.items]


def converts(resource: Resource) -> bool:
    """Whether this version of the resource is stored in another one."""
    return resource.storage_version != resource.gvk.group_version


def served(resource: Resource, obj: Object) -> Object:
    return resource.strategy.to_version(obj, resource.gvk.group_version) if converts(resource) else obj


def to_stored(resource: Resource, obj: Object) -> Object:
    return (
        resource.strategy.from_version(deepcopy(obj), resource.gvk.group_version)
        if converts(resource)
        else obj
    )
