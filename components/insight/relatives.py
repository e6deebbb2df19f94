"""Walks from an object to its family over a `Source`; who belongs to it is decided by `family`."""

from __future__ import annotations

from typing import Final

from apiserver.api import meta
from apiserver.api.meta import Object
from components.insight.collect import OWNED, SLICE
from components.insight.family import Relative, owned_by, owners, reference, selecting
from components.insight.objects import Source
from components.insight.situation import Kind

MOST: Final = 200
_SERVICE: Final = Kind("", "v1", "services", "Service", True)
_ENDPOINTS: Final = Kind("", "v1", "endpoints", "Endpoints", True)


async def family(source: Source, kind: Kind, obj: Object) -> list[Relative]:
    """The object first, then its owners, then what it owns, level by level, then services and endpoints."""
    found = [reference(_with_kind(obj, kind), kind.resource, "self"), *await _owners(source, obj)]
    pods = [obj] if kind.kind == "Pod" else []
    level = [(kind, obj)]
    while level and len(found) < MOST:
        below = [pair for owner_kind, owner in level for pair in await _owned(source, owner_kind, owner)]
        found += [reference(_with_kind(one, its), its.resource, "owned") for its, one in below]
        pods += [one for its, one in below if its.kind == "Pod"]
        level = below
    if kind.kind == "Service":
        found += await _endpoints(source, meta.namespace(obj), [obj])
    elif pods:
        services = selecting(await source.list(_SERVICE, meta.namespace(obj)), pods)
        found += [reference(_with_kind(one, _SERVICE), "services", "selects") for one in services]
        found += await _endpoints(source, meta.namespace(obj), services)
    return found[:MOST]


async def _owners(source: Source, obj: Object) -> list[Relative]:
    found: list[Relative] = []
    waiting, seen = [obj], {meta.uid(obj)}
    while waiting:
        one = waiting.pop()
        for owner in owners(one):
            kind = await source.kind_of(str(owner.get("apiVersion")), str(owner.get("kind")))
            if kind is None or owner.get("uid") in seen:
                continue
            seen.add(str(owner.get("uid")))
            namespace = meta.namespace(one) if kind.namespaced else ""
            stored = await source.get(kind, namespace, str(owner.get("name")))
            if stored is not None and meta.uid(stored) == owner.get("uid"):
                found.append(reference(_with_kind(stored, kind), kind.resource, "owner"))
                waiting.append(stored)
    return found


async def _owned(source: Source, kind: Kind, obj: Object) -> list[tuple[Kind, Object]]:
    below = OWNED.get(kind.kind)
    if below is None:
        return []
    uid = meta.uid(obj)
    listed = await source.list(below, meta.namespace(obj), containing=uid)
    return [(below, one) for one in owned_by(listed, frozenset({uid}))]


async def _endpoints(source: Source, namespace: str, services: list[Object]) -> list[Relative]:
    found = []
    for service in services:
        name = meta.name(service)
        slices = await source.list(SLICE, namespace, containing=meta.uid(service))
        found += [
            reference(_with_kind(one, SLICE), SLICE.resource, "endpoints")
            for one in owned_by(slices, frozenset({meta.uid(service)}))
        ]
        old = await source.get(_ENDPOINTS, namespace, name)
        if old is not None:
            found.append(reference(_with_kind(old, _ENDPOINTS), _ENDPOINTS.resource, "endpoints"))
    return found


def _with_kind(obj: Object, kind: Kind) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
