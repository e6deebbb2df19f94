"""Keeps the status of ValidatingAdmissionPolicies: what type checking finds in them, once for each generation.

The work of the original's controller manager, which compiles expressions too; run by whoever puts a whole master
together, beside the controllers. Follows the watch cache of policies; writes by compare-and-swap.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from apiserver.admission.policies.type_checking import TypeChecker
from apiserver.api import codec, meta
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.cel.types import Type, object_of
from apiserver.crd.cel_types import cel_type as custom_type
from apiserver.crd.custom_type import CustomType
from apiserver.schema.cel_types import cel_type
from apiserver.schema.schemas import OBJECT_META
from apiserver.storage.interface import RevisionMismatch, StorageError

if TYPE_CHECKING:
    from apiserver.http.scope import Services
    from apiserver.storage.entry import Entry

log = logging.getLogger(__name__)
Object = dict[str, Any]
_RETRY_SECONDS: Final = 1.0


class PolicyStatus:
    def __init__(self, services: Services) -> None:
        self._services = services
        resource = services.registry.lookup(
            "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"
        )
        assert resource is not None
        self._cache = services.cache(resource)
        self._checker = TypeChecker(self._kind_of, self._type_of)

    async def run(self) -> None:
        """Until cancelled."""
        wake = asyncio.Event()
        self._cache.listen(wake.set)
        while True:
            wake.clear()
            failed = False
            try:
                await self._cache.ready()
                for entry in self._cache.select(self._cache.prefix):
                    await self._reconcile(entry)
            except (TimeoutError, StorageError) as exc:
                log.info("the status of policies: %s", exc)
                failed = True
            except Exception:
                log.exception("the status of policies")
                failed = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS if failed else None):
                    await wake.wait()

    async def _reconcile(self, entry: Entry) -> None:
        policy = entry.object()
        generation = meta.generation(policy)
        if generation <= ((policy.get("status") or {}).get("observedGeneration") or 0):
            return
        warnings = await asyncio.to_thread(self._checker.warnings, policy)
        checked: Object = {"expressionWarnings": warnings} if warnings else {}
        status = {**(policy.get("status") or {}), "observedGeneration": generation, "typeChecking": checked}
        stored = codec.encode({**policy, "status": status})
        with suppress(RevisionMismatch):  # what is stored now comes by the cache
            await self._services.storage.update(entry.key, stored, entry.revision)

    def _kind_of(self, gvr: GroupVersionResource) -> GroupVersionKind | None:
        resource = self._services.registry.lookup(*gvr)
        return None if resource is None else resource.gvk

    def _type_of(self, gvk: GroupVersionKind) -> Type | None:
        schemas = self._services.schemas
        custom = schemas.custom.get(gvk)
        if isinstance(custom, CustomType):
            found = custom_type(custom.schema, gvk.kind, resource=True)
            if found is None or found.fields is None:
                return found
            metadata = ("metadata", cel_type(schemas.named(OBJECT_META)))
            return object_of(found.name, {**found.fields, "metadata": metadata})
        api_type = schemas.type_of(gvk)
        return None if api_type is None else cel_type(api_type, gvk.kind)
