"""What to do with one object, given what is known of its owners (P). Source: garbagecollector.go."""

from __future__ import annotations

from dataclasses import dataclass, field

from apiserver.api import meta
from apiserver.api.meta import Object

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass
class Owners:
    """An object's references: `solid` owners exist; `waiting` ones wait for their dependents to go first."""

    solid: list[Object] = field(default_factory=list)
    dangling: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)


def is_foreground(obj: Object) -> bool:
    return meta.is_deleting(obj) and FOREGROUND in meta.finalizers(obj)


def is_orphaning(obj: Object) -> bool:
    return meta.is_deleting(obj) and ORPHAN in meta.finalizers(obj)


def blocks(dependent: Object, owner_uid: str) -> bool:
    """Whether the owner's foreground deletion waits for this dependent."""
    return any(
        reference.get("uid") == owner_uid and reference.get("blockOwnerDeletion")
        for reference in meta.owner_references(dependent)
    )


def without_owners(obj: Object, uids: set[str]) -> Object:
    """A merge patch that drops the references to `uids`; it fails if the object has changed."""
    kept = [ref for ref in meta.owner_references(obj) if ref.get("uid") not in uids]
    return _patch(obj, ownerReferences=kept or None)


def without_finalizer(obj: Object, name: str) -> Object:
    return _patch(obj, finalizers=[f for f in meta.finalizers(obj) if f != name] or None)


def unblocked(obj: Object) -> Object:
    """A merge patch after which the object blocks no owner: breaks circles of foreground deletions."""
    references = [{**ref, "blockOwnerDeletion": False} for ref in meta.owner_references(obj)]
    return _patch(obj, ownerReferences=references)


def _patch(obj: Object, **fields: object) -> Object:
    identity = {"uid": meta.uid(obj), "resourceVersion": meta.resource_version(obj)}
    return {"metadata": {**identity, **fields}}


def deletion_policy(obj: Object, owners: Owners, *, has_dependents: bool) -> str | None:
    """The propagation policy to delete the object with; None while it has an owner to live for."""
    if owners.solid or not (owners.dangling or owners.waiting):
        return None
    if owners.waiting and has_dependents:
        return "Foreground"
    if ORPHAN in meta.finalizers(obj):
        return "Orphan"
    return "Foreground" if FOREGROUND in meta.finalizers(obj) else "Background"
