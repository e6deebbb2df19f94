"""Update and patch: a guaranteed update, in the order of ``rest/update.go`` and ``GuaranteedUpdate``.

    read → new object from the old → mutating admission → preconditions → prepare → validate → warnings → reserve →
    validating admission → compare-and-swap; a lost race, also one to create, starts again with what is stored now

An update that empties the finalizers of an object being deleted ends in its deletion.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from apiserver.admission.interface import Attributes
from apiserver.api import codec, errors, go_int, meta
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.rest import create as creation
from apiserver.http.rest.call import Call
from apiserver.http.scope import Object
from apiserver.registry.strategy import Done, nothing_to_release
from apiserver.storage.interface import KeyExists, RevisionMismatch, Stored

_ATTEMPTS: Final = 32
Shown = Callable[[Object], tuple[GroupVersionKind, Object]]
Transform = Callable[[Object | None], Awaitable[Object]]


@dataclass(slots=True)
class Update:
    """``transform`` makes the new object from a private copy of the old one (None: it does not exist).
    ``strategy`` is the resource's own or that of a subresource. ``put``: the uid in the object is a precondition."""

    transform: Transform
    strategy: Any
    put: bool = False
    may_create: bool = False
    shown: Shown | None = None
    """How admission sees the object, where that is another kind (Scale); `transform` has asked the mutating plugins."""

    async def begin(self, call: Call, new: Object, old: Object) -> Done:
        """Subresources reserve nothing: what they may change is never an address or a port."""
        if call.subresource:
            return nothing_to_release
        return await call.resource.strategy.begin_update(new, old, call.reservations)


async def update(call: Call, namespace: str, name: str, change: Update) -> tuple[Object, bool]:
    """The stored object and whether it was created. Raises 404, 409, 422."""
    key = call.key(namespace, name)
    stored, _ = await call.services.storage.get(key)
    for _ in range(_ATTEMPTS):
        try:
            if stored is None:
                return await _create(call, namespace, name, change), True
            return await _update_once(call, namespace, name, stored, change), False
        except KeyExists:
            stored, _ = await call.services.storage.get(key)
        except RevisionMismatch as exc:
            stored = exc.current
    raise errors.conflict(call.resource.gvr.group_resource, name, errors.MODIFIED)


async def _create(call: Call, namespace: str, name: str, change: Update) -> Object:
    if not change.may_create:
        raise errors.not_found(call.resource.gvr.group_resource, name)
    obj = await change.transform(None)
    return await creation.create_named(replace(call, create_to_ask=True), namespace, obj)


async def _update_once(call: Call, namespace: str, name: str, stored: Stored, change: Update) -> Object:
    old = call.decode(stored)
    new = await change.transform(call.decode(stored))
    new.setdefault("metadata", {})
    creation.check_namespace(new, namespace)
    if change.shown is None:
        new = await call.admit(call.attributes("UPDATE", namespace, name, new, old))
    _check_preconditions(call, name, new, old, stored, change)
    _keep_system_fields(new, old)
    finish = await change.begin(call, new, old)
    saved = False
    try:
        change.strategy.prepare_for_update(new, old)
        await call.validated(name, change.strategy.validate_update, new, old)
        for text in () if call.subresource else call.resource.strategy.warnings(new, old):
            call.warn(text)
        await call.services.admission.validate(_seen(call, namespace, name, new, old, change))
        revision = await _store(call, stored, new, old)
        saved = not call.dry_run
    finally:
        await finish(saved)
    new["metadata"]["resourceVersion"] = str(revision)
    return new


def _seen(call: Call, namespace: str, name: str, new: Object, old: Object, change: Update) -> Attributes:
    """The update as validating admission sees it."""
    if change.shown is None:
        return call.attributes("UPDATE", namespace, name, new, old)
    gvk, shown = change.shown(new)
    write = call.attributes("UPDATE", namespace, name, shown, change.shown(old)[1])
    write.gvk = gvk
    return write


def _check_preconditions(
    call: Call, name: str, new: Object, old: Object, stored: Stored, change: Update
) -> None:
    resource = call.resource.gvr.group_resource
    wanted, uid = meta.uid(new), meta.uid(old)
    if change.put and wanted and wanted != uid:
        raise errors.conflict(
            resource,
            name,
            f"StorageError: invalid object, Code: 4, Key: {stored.key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}",
        )
    version = meta.resource_version(new)
    if version in ("", "0"):
        if not call.resource.strategy.allow_unconditional_update:
            path = Path("metadata").child("resourceVersion")
            raise errors.invalid(resource, name, [invalid(path, 0, "must be specified for an update")])
    elif not (version.isascii() and version.isdigit()):
        raise errors.unknown(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    elif go_int.integer(version) != stored.revision:
        raise errors.conflict(resource, name, errors.MODIFIED)


def _keep_system_fields(new: Object, old: Object) -> None:
    """What an update may leave out but never changes; strategies bump the generation themselves."""
    fresh, known = new["metadata"], old["metadata"]
    for key in ("uid", "creationTimestamp", "deletionGracePeriodSeconds", "namespace"):
        if not fresh.get(key) and key in known and fresh.get(key) != known[key]:
            fresh[key] = known[key]
    for key in ("generation", "deletionTimestamp"):
        if key in known:
            fresh[key] = known[key]
        elif key != "deletionTimestamp":
            fresh.pop(key, None)
    if fresh.get("deletionTimestamp") is None:
        fresh.pop("deletionTimestamp", None)
    fresh.pop("selfLink", None)
    fresh["resourceVersion"] = known["resourceVersion"]


async def _store(call: Call, stored: Stored, new: Object, old: Object) -> int:
    if call.dry_run:
        return stored.revision
    storage = call.services.storage
    if _ends_deletion(call, new, old):
        revision = await storage.delete(stored.key, stored.revision)
        await call.resource.strategy.after_delete(new, call.reservations)
        return revision
    keep_times_of_no_change(new, old)
    data = call.encode(new)
    if not stored.stale and (data == stored.value or _unchanged(new, old)):
        return stored.revision
    return await storage.update(stored.key, data, stored.revision, ttl=call.ttl)


def _unchanged(new: Object, old: Object) -> bool:
    """Whether two objects say the same, whatever the order of their keys."""
    return new == old and codec.dumps_sorted(new) == codec.dumps_sorted(old)


def keep_times_of_no_change(new: Object, old: Object) -> None:
    """A request that changes nothing but the times in managedFields changes nothing at all.

    As the original's ``IgnoreManagedFieldsTimestampsTransformer``: else every repeated write would be one."""
    fresh, known = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not fresh or not known or fresh == known or _timeless(fresh) != _timeless(known):
        return
    new["metadata"]["managedFields"] = known
    if not _unchanged(new, old):
        new["metadata"]["managedFields"] = fresh


def _timeless(entries: list[Object]) -> list[Object]:
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]


def _ends_deletion(call: Call, new: Object, old: Object) -> bool:
    if meta.finalizers(new) or not meta.is_deleting(old):
        return False
    if call.resource.gvk.kind == "Namespace":
        return not (new.get("spec") or {}).get("finalizers")
    return not old["metadata"].get("deletionGracePeriodSeconds")
