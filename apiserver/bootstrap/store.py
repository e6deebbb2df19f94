"""Writes of the API server itself: straight to the storage, past admission and validation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apiserver.api import codec, meta
from apiserver.api.gvk import GroupVersion
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import fill_system_fields
from apiserver.http.scope import Services
from apiserver.storage.interface import KeyExists, RevisionMismatch

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

Object = dict[str, Any]


def find_resource(services: Services, path: str) -> Resource:
    """The resource named like `v1/services` or `apps/v1/deployments`. Raises LookupError for none."""
    group_version, _, plural = path.rpartition("/")
    group, version = GroupVersion.parse(group_version)
    resource = services.registry.lookup(group, version, plural)
    if resource is None:
        raise LookupError(f"the registry does not serve {path}")
    return resource


async def create_missing(services: Services, path: str, objects: list[Object]) -> None:
    """Store those objects that are not there yet; one read when all are."""
    resource = find_resource(services, path)
    listed = await services.storage.list(resource.storage_prefix + "/")
    present = {stored.key for stored in listed.items}
    missing = [o for o in objects if resource.key(meta.namespace(o), meta.name(o)) not in present]
    await asyncio.gather(*(_create(Call(services, resource), obj) for obj in missing))


async def _create(call: Call, obj: Object) -> None:
    try:
        await call.services.storage.create(
            call.key(meta.namespace(obj), meta.name(obj)), call.encode(_complete(call, obj))
        )
    except KeyExists:
        return  # another API server was first


def _complete(call: Call, obj: Object) -> Object:
    whole = {
        "kind": call.resource.gvk.kind,
        "apiVersion": call.resource.gvk.group_version,
        **obj,
        "metadata": dict(obj["metadata"]),
    }
    fill_system_fields(call, whole)
    return whole


async def write(
    services: Services, path: str, namespace: str, name: str, change: Callable[[Object | None], Object | None]
) -> None:
    """Compare-and-swap. `change` gets a private copy of what is stored (None: nothing) and returns what to
    store instead, or None to leave it. It is called again whenever another writer was faster."""
    call = Call(services, find_resource(services, path))
    key = call.key(namespace, name)
    stored, _ = await services.storage.get(key)
    while True:
        new = change(codec.decode(stored.value) if stored else None)
        if new is None:
            return
        try:
            if stored is None:
                await services.storage.create(key, call.encode(_complete(call, new)))
            else:
                await services.storage.update(key, call.encode(new), stored.revision)
        except KeyExists:
            stored, _ = await services.storage.get(key)
        except RevisionMismatch as error:
            stored = error.current
        else:
            return
