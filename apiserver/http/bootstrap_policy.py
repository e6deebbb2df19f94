"""Stores the default roles and bindings and keeps them up to date, at every start of a server.

Called by `bootstrap` once the server listens; any number of servers may do it at the same time. When it is done, the
authorizer goes by what is stored alone. Source: ``pkg/registry/rbac/rest`` (``EnsureRBACPolicy``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Final

from apiserver.api import meta
from apiserver.auth import builtin_policy
from apiserver.auth.reconciliation import Replace, reconciled_binding, reconciled_role
from apiserver.http.rest.call import Call
from apiserver.http.scope import Object, Services
from apiserver.storage.interface import RevisionMismatch, Stored

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 8
Ensure = Callable[[Call, Object], Awaitable[None]]


async def reconcile(services: Services, ensure: Ensure) -> None:
    """``ensure`` creates an object if it is absent. Raises StorageError, NotYet."""
    for plural, objects in builtin_policy.objects().items():
        resource = services.registry.lookup("rbac.authorization.k8s.io", "v1", plural)
        assert resource is not None
        call = Call(services, resource)
        listed = await services.storage.list(resource.storage_prefix + "/")
        stored = {item.key: item for item in listed.items}
        keyed = {call.key(meta.namespace(obj), meta.name(obj)): obj for obj in objects}
        await asyncio.gather(*(ensure(call, obj) for key, obj in keyed.items() if key not in stored))
        for key in keyed.keys() & stored.keys():
            await _update(call, _completed(call, keyed[key]), stored[key], ensure)
    await services.authorizer.default_policy_is_stored()


def _completed(call: Call, expected: Object) -> Object:
    """With what defaults would add, so that it compares with what is stored."""
    obj = deepcopy(expected)
    call.resource.strategy.default(obj)
    return obj


async def _update(call: Call, expected: Object, stored: Stored | None, ensure: Ensure) -> None:
    step = reconciled_role if call.resource.gvk.kind.endswith("Role") else reconciled_binding
    for _ in range(_ATTEMPTS):
        if stored is None:
            await ensure(call, expected)
            return
        try:
            wanted = step(expected, call.decode(stored))
            if wanted is None:
                return
            log.info("%s %s is brought up to date", call.resource.gvk.kind, meta.name(wanted))
            await call.services.storage.update(stored.key, call.encode(wanted), stored.revision)
            return
        except Replace:
            stored = await _removed(call, stored)
        except RevisionMismatch as lost:
            stored = lost.current


async def _removed(call: Call, stored: Stored) -> Stored | None:
    try:
        await call.services.storage.delete(stored.key, stored.revision)
    except RevisionMismatch as lost:
        return lost.current
    return None
