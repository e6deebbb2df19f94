"""Delete, in the order of ``rest/delete.go`` and ``Store.Delete``.

    preconditions → admission → grace period → finalizers for garbage collection → mark as deleting, or remove

An object leaves the store at once only if no finalizer holds it and its grace period is zero.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from apiserver.api import errors, meta
from apiserver.api.gvk import GroupResource
from apiserver.http.rest.call import Call
from apiserver.http.scope import Object
from apiserver.storage.interface import RevisionMismatch, Stored

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
_ATTEMPTS: Final = 32
# Deleting these without a policy keeps their dependents, as it always has (DefaultGarbageCollectionPolicy).
_ORPHAN_BY_DEFAULT: Final = frozenset({("batch", "jobs"), ("", "replicationcontrollers")})


@dataclass(slots=True)
class DeleteOptions:
    grace_period_seconds: int | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None


@dataclass(slots=True)
class Deleted:
    """``gone``: removed from the store; ``graceful``: the kind answers with the object, not with a Status."""

    obj: Object
    gone: bool
    graceful: bool = False


async def delete(call: Call, namespace: str, name: str, options: DeleteOptions) -> Deleted:
    stored: Stored | None = await call.read(namespace, name)
    old = call.decode(stored) if stored is not None else None
    await call.services.admission.admit(call.attributes("DELETE", namespace, name, None, old))
    for _ in range(_ATTEMPTS):
        if stored is None:
            raise errors.not_found(call.resource.gvr.group_resource, name)
        try:
            return await _delete_once(call, namespace, name, stored, options)
        except RevisionMismatch as exc:
            stored = exc.current
    raise errors.conflict(call.resource.gvr.group_resource, name, errors.MODIFIED)


async def _delete_once(
    call: Call, namespace: str, name: str, stored: Stored, options: DeleteOptions
) -> Deleted:
    old = call.decode(stored)
    check_preconditions(call, name, old, options)
    await call.services.admission.validate(call.attributes("DELETE", namespace, name, None, old))
    if call.resource.gvk.kind == "Namespace":
        return await _delete_namespace(call, stored, old, options)
    obj = deepcopy(old)
    if call.resource.strategy.begin_deletion(obj, meta.format_time(call.services.now())):
        await _save(call, stored, obj)
        return Deleted(obj, gone=False, graceful=True)
    graceful, pending = _apply_grace(call, obj, options)
    if pending:
        return Deleted(old, gone=False, graceful=True)
    _set_finalizers(call, obj, options)
    held = bool(meta.finalizers(obj))
    if held and not graceful:
        _mark_deleting(call, obj, 0)
    if held or graceful:
        stored = await _save(call, stored, obj)
    if held or (graceful and obj["metadata"]["deletionGracePeriodSeconds"] > 0):
        return Deleted(obj, gone=False, graceful=graceful)
    await _remove(call, stored, obj)
    return Deleted(obj, gone=True, graceful=graceful)


def check_preconditions(call: Call, name: str, obj: Object, options: DeleteOptions) -> None:
    """Raises 409."""
    kind = GroupResource(call.resource.gvk.group, call.resource.gvk.kind)
    uid, version = meta.uid(obj), meta.resource_version(obj)
    if options.uid is not None and options.uid != uid:
        raise errors.conflict(
            kind,
            name,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version is not None and options.resource_version != version:
        raise errors.conflict(
            kind,
            name,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
            f"ResourceVersion in record ({version}). The object might have been modified",
        )


def _apply_grace(call: Call, obj: Object, options: DeleteOptions) -> tuple[bool, bool]:
    """(deleting with a grace period, already deleting with no shorter one), as ``rest.BeforeDelete``."""
    asked = options.grace_period_seconds
    if asked is not None and asked < 0:
        asked = 1
    period = call.resource.strategy.graceful_delete(obj, {"gracePeriodSeconds": asked})
    metadata = obj["metadata"]
    if meta.is_deleting(obj):
        current = metadata.get("deletionGracePeriodSeconds")
        if period is None or current is None:
            return False, False
        if asked is None or asked >= current:
            return False, True
        _shorten(obj, current, asked)
        return True, False
    if period is None:
        return False, False
    _mark_deleting(call, obj, period)
    return True, False


def _shorten(obj: Object, current: int, asked: int) -> None:
    metadata = obj["metadata"]
    moment = meta.parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=current - asked)
    metadata["deletionTimestamp"] = meta.format_time(moment)
    metadata["deletionGracePeriodSeconds"] = asked


def _mark_deleting(call: Call, obj: Object, period: int) -> None:
    metadata = obj["metadata"]
    metadata["deletionGracePeriodSeconds"] = period
    if metadata.get("deletionTimestamp"):
        return
    metadata["deletionTimestamp"] = meta.format_time(call.services.now() + timedelta(seconds=period))
    if metadata.get("generation"):
        metadata["generation"] += 1


def _set_finalizers(call: Call, obj: Object, options: DeleteOptions) -> None:
    """The garbage collector's two finalizers follow the asked policy; others stay."""
    present = meta.finalizers(obj)
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    if _orphans(call, present, options):
        kept.append(ORPHAN)
    elif options.propagation_policy == "Foreground" or (
        options.propagation_policy is None and options.orphan_dependents is None and FOREGROUND in present
    ):
        kept.append(FOREGROUND)
    if sorted(kept) == sorted(present):
        return
    obj["metadata"]["finalizers"] = kept
    if not kept:
        del obj["metadata"]["finalizers"]


def _orphans(call: Call, present: list[str], options: DeleteOptions) -> bool:
    if options.orphan_dependents is not None:
        return options.orphan_dependents
    if options.propagation_policy is not None:
        return options.propagation_policy == "Orphan"
    if ORPHAN in present or FOREGROUND in present:
        return ORPHAN in present
    return tuple(call.resource.gvr.group_resource) in _ORPHAN_BY_DEFAULT


async def _save(call: Call, stored: Stored, obj: Object) -> Stored:
    if call.dry_run:
        return stored
    data = call.encode(obj)
    if data == stored.value:
        return stored
    revision = await call.services.storage.update(stored.key, data, stored.revision, ttl=call.ttl)
    obj["metadata"]["resourceVersion"] = str(revision)
    return Stored(stored.key, data, revision)


async def _remove(call: Call, stored: Stored, obj: Object) -> None:
    if call.dry_run:
        return
    await call.services.storage.delete(stored.key, stored.revision)
    await call.resource.strategy.after_delete(obj, call.reservations)


async def _delete_namespace(call: Call, stored: Stored, old: Object, options: DeleteOptions) -> Deleted:
    """A namespace first becomes Terminating; it goes when both kinds of its finalizers are gone."""
    obj = deepcopy(old)
    if not meta.is_deleting(obj):
        obj["metadata"]["deletionTimestamp"] = meta.format_time(call.services.now())
        obj.setdefault("status", {})["phase"] = "Terminating"
        _set_finalizers(call, obj, options)
        stored = await _save(call, stored, obj)
    if (obj.get("spec") or {}).get("finalizers") or meta.finalizers(obj):
        return Deleted(obj, gone=False, graceful=True)
    await _remove(call, stored, obj)
    return Deleted(obj, gone=True)
