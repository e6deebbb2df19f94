"""Create, in the order of ``rest/create.go``.

namespace → mutating admission → system fields and name → reserve (cluster IPs, ports) → prepare →
validate → warnings → validating admission → store
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from apiserver.api import errors, meta
from apiserver.http.rest.call import Call
from apiserver.http.scope import Object
from apiserver.storage.interface import KeyExists

_NAME_ATTEMPTS: Final = 8
_MAX_GENERATED: Final = 58
_NAMESPACE_MISMATCH: Final = (
    "the namespace of the provided object does not match the namespace sent on the request"
)


def check_namespace(obj: Object, namespace: str) -> None:
    """Fills in the request's namespace; raises 400 if the object names another."""
    given = obj["metadata"].get("namespace") or ""
    if given and namespace and given != namespace:
        raise errors.bad_request(_NAMESPACE_MISMATCH)
    if namespace:
        obj["metadata"]["namespace"] = namespace
    else:
        obj["metadata"].pop("namespace", None)


async def create(call: Call, namespace: str, obj: Object) -> Object:
    """``obj`` is decoded, pruned and defaulted. Returns the stored object with its resourceVersion."""
    obj = await _admitted(call, namespace, obj)
    generated = not meta.name(obj) and bool(obj["metadata"].get("generateName"))
    for _ in range(_NAME_ATTEMPTS if generated else 1):
        candidate = deepcopy(obj) if generated else obj
        try:
            return await _create_once(call, namespace, candidate)
        except KeyExists:
            name = meta.name(candidate)
    resource = call.resource.gvr.group_resource
    raise (errors.generate_name_conflict if generated else errors.already_exists)(resource, name)


async def create_named(call: Call, namespace: str, obj: Object) -> Object:
    """As :func:`create`, for an object with a name. Raises KeyExists if somebody else was first."""
    return await _create_once(call, namespace, await _admitted(call, namespace, obj))


async def _admitted(call: Call, namespace: str, obj: Object) -> Object:
    check_namespace(obj, namespace)
    return await call.admit(call.attributes("CREATE", namespace, meta.name(obj), obj, None))


async def _create_once(call: Call, namespace: str, obj: Object) -> Object:
    strategy = call.resource.strategy
    fill_system_fields(call, obj)
    name = meta.name(obj)
    finish = await strategy.begin_create(obj, call.reservations)
    stored = False
    try:
        strategy.prepare_for_create(obj)
        _sign_request(call, obj)
        await call.validated(name, strategy.validate, obj)
        for text in strategy.warnings(obj, None):
            call.warn(text)
        await call.may_create(namespace, name)
        await call.services.admission.validate(call.attributes("CREATE", namespace, name, obj, None))
        revision = await _store(call, namespace, name, obj)
        stored = not call.dry_run
    finally:
        await finish(stored)
    if revision:
        obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def fill_system_fields(call: Call, obj: Object) -> None:
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        if metadata["resourceVersion"] != "0":
            raise errors.unknown("resourceVersion should not be set on objects to be created")
        del metadata["resourceVersion"]
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(key, None)
    metadata["creationTimestamp"] = meta.format_time(call.services.now())
    metadata["uid"] = call.services.new_uid()
    if not metadata.get("name") and metadata.get("generateName"):
        base = metadata["generateName"][:_MAX_GENERATED]
        metadata["name"] = base + call.services.random_suffix()


def _sign_request(call: Call, obj: Object) -> None:
    """A certificate signing request names who made it, whatever its author wrote there."""
    if call.resource.gvk.kind != "CertificateSigningRequest":
        return
    spec = obj.setdefault("spec", {})
    for key in ("username", "uid", "groups", "extra"):
        spec.pop(key, None)
    spec.update(call.user.info())


async def _store(call: Call, namespace: str, name: str, obj: Object) -> int:
    key, storage = call.key(namespace, name), call.services.storage
    if call.dry_run:
        if (await storage.get(key))[0] is not None:
            raise KeyExists(key)
        return 0
    return await storage.create(key, call.encode(obj), ttl=call.ttl)
