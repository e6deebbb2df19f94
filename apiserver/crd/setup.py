"""Puts the parts of this package together for one API server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.crd.cleanup import Cleanup
from apiserver.crd.controller import DefinitionController
from apiserver.crd.definition import Definition
from apiserver.crd.resources import Parts, Served, by_kind, in_order
from apiserver.http.reader import CacheReader
from apiserver.http.rest.call import Call
from apiserver.http.rest.delete import DeleteOptions, delete
from apiserver.http.scope import Services
from apiserver.registry.strategy import RegistryOptions
from apiserver.schema.schemas import OBJECT_META
from apiserver.storage.interface import RevisionMismatch
from apiserver.webhook_client import WebhookClient

DEFINITION: Final = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
_SERVICES: Final = GroupVersionResource("", "v1", "services")


class CustomResources:
    """Everything of this package that runs. ``start`` before the first request, ``run`` beside them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reader = CacheReader(services.registry, services.caches, services.storage)
        self._webhooks = WebhookClient(self._service)
        resource = services.registry.kind(DEFINITION)
        assert resource is not None
        schemas = services.schemas
        parts = Parts(
            services.storage,
            RegistryOptions(),
            schemas.named(OBJECT_META),
            schemas.check_metadata,
            self._webhooks.send,
        )
        cleanup = Cleanup(services.storage, self._delete_instance, services.now)
        cache = services.cache(resource)
        self._controller = DefinitionController(
            cache, services.storage, parts, self._publish, cleanup, services.now
        )
        self.start = self._controller.start
        self.run = self._controller.run

    async def stop(self) -> None:
        await self._controller.stop()
        await self._webhooks.close()

    def _publish(self, all_served: Sequence[Served]) -> None:
        self._services.schemas.custom = by_kind(all_served)
        self._services.registry.replace_custom(in_order(all_served))
        self._services.openapi.replace_custom(all_served)

    async def _service(self, namespace: str, name: str) -> dict[str, Any] | None:
        return await self._reader.get(_SERVICES, namespace, name, fresh=True)

    async def _delete_instance(self, definition: Definition, namespace: str, name: str) -> None:
        """With admission, as a client would; of a definition that serves no version, from the store.

        In the storage version if that is served: a webhook that is gone must not hold the deletion.
        """
        names = [version.name for version in definition.versions]
        for name_of_version in sorted(names, key=lambda known: known != definition.storage_version):
            resource = self._services.registry.lookup(definition.group, name_of_version, definition.plural)
            if resource is not None and resource.custom is not None:
                call = Call(resource.custom.view.services(self._services), resource)
                await delete(call, namespace, name, DeleteOptions())
                return
        key = "/".join(part for part in (definition.storage_prefix, namespace, name) if part)
        stored, _ = await self._services.storage.get(key)
        if stored is not None and b'"finalizers"' not in stored.value:
            try:
                await self._services.storage.delete(key, stored.revision)
            except RevisionMismatch:
                return  # tried again with the next look at what is left
