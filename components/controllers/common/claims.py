"""Which objects belong to a controller (P), as the original's `ControllerRefManager` decides it.

An object controlled by the owner is kept while its labels match and released when they no longer do. An
orphan whose labels match is adopted. Objects of other controllers are left alone; so is everything once the
owner is being deleted, except what it already controls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apiserver.api import meta
from apiserver.api.labels import Selector
from apiserver.api.meta import Object


@dataclass(frozen=True)
class Claims:
    keep: list[Object]
    adopt: list[Object]
    release: list[Object]


def classify(owner: Object, selector: Selector, objects: Iterable[Object]) -> Claims:
    claims = Claims([], [], [])
    deleting = meta.is_deleting(owner)
    for obj in objects:
        reference = meta.controller_of(obj)
        if reference is not None:
            _classify_controlled(obj, reference, owner, selector, claims)
        elif not deleting and not meta.is_deleting(obj) and selector.matches(meta.labels(obj)):
            claims.adopt.append(obj)
    return claims


def _classify_controlled(
    obj: Object, reference: Object, owner: Object, selector: Selector, claims: Claims
) -> None:
    if reference.get("uid") != meta.uid(owner):
        return
    if selector.matches(meta.labels(obj)):
        claims.keep.append(obj)
    elif not meta.is_deleting(owner):
        claims.release.append(obj)


def adoption_patch(obj: Object, owner: Object, api_version: str, kind: str) -> Object:
    """A merge patch that adds the owner; it fails if the object was replaced or changed meanwhile."""
    reference = meta.new_controller_ref(owner, api_version, kind)
    return _owners_patch(obj, [*meta.owner_references(obj), reference])


def release_patch(obj: Object, owner: Object) -> Object:
    """A merge patch that takes the owner out, with the same precondition."""
    kept = [ref for ref in meta.owner_references(obj) if ref.get("uid") != meta.uid(owner)]
    return _owners_patch(obj, kept)


def _owners_patch(obj: Object, references: list[Object]) -> Object:
    return {
        "metadata": {
            "uid": meta.uid(obj),
            "resourceVersion": meta.resource_version(obj),
            "ownerReferences": references or None,
        }
    }
