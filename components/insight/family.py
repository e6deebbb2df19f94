"""Who belongs to an object: its owners, and what it owns, through all levels (P).

`relatives` walks over what it is given; `gather` shows which kinds may be in it. A service belongs to the pods that it
selects, and its endpoints to it: so the story of a deployment ends where its pods can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from apiserver.api import meta
from apiserver.api.journal import ObjectRef
from apiserver.api.meta import Object
from components.insight.situation import Kind

_MADE: Final = frozenset({"replicasets", "pods", "jobs", "controllerrevisions"})


class Relative(msgspec.Struct, frozen=True, rename="camel"):
    """A reference, not the object; ``relation``: self, owner, owned, selects (a service), endpoints."""

    api_version: str
    kind: str
    resource: str
    group: str
    namespace: str
    name: str
    uid: str
    relation: str
    owners: tuple[str, ...] = ()


def owners(obj: Object) -> list[Mapping[str, str]]:
    found: list[Mapping[str, str]] = obj["metadata"].get("ownerReferences") or []
    return found


def owned_by(candidates: Iterable[Object], uids: frozenset[str]) -> list[Object]:
    """Of the candidates, those that one of the uids owns."""
    return [obj for obj in candidates if any(owner.get("uid") in uids for owner in owners(obj))]


def selecting(services: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """The services that select one of the pods."""
    all_labels = [meta.labels(pod) for pod in pods]
    found = []
    for service in services:
        selector = (service.get("spec") or {}).get("selector") or {}
        if selector and any(selector.items() <= labels.items() for labels in all_labels):
            found.append(service)
    return found


def of_gone(ref: ObjectRef, kind: Kind, name: str) -> bool:
    """Whether a record is about an object that is gone, or about what it is likely to have owned: by their names, as
    nothing is left that would say so."""
    if (ref.resource, ref.name) == (kind.resource, name):
        return True
    return ref.resource in _MADE and ref.resource != kind.resource and ref.name.startswith(f"{name}-")


def reference(obj: Object, resource: str, relation: str) -> Relative:
    version = str(obj.get("apiVersion") or "v1")
    return Relative(
        api_version=version,
        kind=str(obj.get("kind") or ""),
        resource=resource,
        group=version.rpartition("/")[0],
        namespace=meta.namespace(obj),
        name=meta.name(obj),
        uid=meta.uid(obj),
        relation=relation,
        owners=tuple(str(owner.get("uid") or "") for owner in owners(obj)),
    )
