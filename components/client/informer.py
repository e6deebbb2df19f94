"""Shared informers: a local, indexed copy of a resource, and callbacks for its changes.

Fed by a `Reflector`; read by controllers, scheduler, kubelet and proxy through `store` and handlers. As
client-go's shared_informer.go, without resync: components that want to reconcile periodically use
their queue's `add_after`. Objects in the store are shared: copy before changing one. They come without
managedFields, a third of their size that no component reads (as the original's components drop them); the server
keeps the entries of an object that is written back without any.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object, object_key
from components.client.indexer import NAMESPACE_INDEX, Indexer, IndexFunc, index_by_namespace
from components.client.reflector import ListWatcher, Reflector, Scope
from components.client.transport import WatchEvent

__all__ = ["NAMESPACE_INDEX", "IndexFunc", "Indexer", "Informer", "InformerFactory"]

logger = logging.getLogger(__name__)

OnAdd = Callable[[Object], None]
OnUpdate = Callable[[Object, Object], None]
OnDelete = Callable[[Object], None]


class _Handler(NamedTuple):
    on_add: OnAdd | None
    on_update: OnUpdate | None
    on_delete: OnDelete | None


class Informer:
    """`has_synced` turns True once every handler was called for every object of the first list.

    Handlers are plain functions called on the event loop in the order of events; they must be quick
    (usually: put a key on a queue). What one raises is logged and stops nothing.
    """

    def __init__(
        self,
        client: ListWatcher,
        gvr: GroupVersionResource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        indexers: Mapping[str, IndexFunc] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """``metadata_only``: objects have nothing but metadata, and of that not who manages which field."""
        self.gvr = gvr
        self._metadata_only = metadata_only
        self.store = Indexer({NAMESPACE_INDEX: index_by_namespace, **(indexers or {})})
        self._handlers: list[_Handler] = []
        self._synced = asyncio.Event()
        scope = Scope(gvr, namespace, label_selector, field_selector, metadata_only)
        self._reflector = Reflector(client, scope, self, rng or random.Random())

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    @property
    def last_version(self) -> str:
        """The resourceVersion up to which the store is current; empty before the first list."""
        return self._reflector.last_version

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def add_handler(
        self,
        on_add: OnAdd | None = None,
        on_update: OnUpdate | None = None,
        on_delete: OnDelete | None = None,
    ) -> None:
        """Callbacks (obj), (old, new), (last known obj). One added late gets an add for each object."""
        handler = _Handler(on_add, on_update, on_delete)
        self._handlers.append(handler)
        for obj in self.store.list():
            self._call(handler.on_add, obj)

    async def run(self) -> None:
        """List and watch until cancelled."""
        await self._reflector.run()

    def replace(self, items: list[Object]) -> None:
        """A full listing: what is new, changed or missing in it becomes adds, updates and deletes."""
        listed = {object_key(item) for item in items}
        for key in [key for key in self.store.keys() if key not in listed]:  # noqa: SIM118  # not a dict
            self._removed(key, None)
        for item in items:
            self._stored(_without_managed_fields(item))
        self._synced.set()

    def changed(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._removed(object_key(event.object), event.object)
        else:
            self._stored(_without_managed_fields(event.object))

    def _stored(self, obj: Object) -> None:
        if self._metadata_only:
            obj["metadata"].pop("managedFields", None)
        old = self.store.get(object_key(obj))
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            # Deleted and made again while we were not watching: handlers see both.
            self._removed(object_key(obj), None)
            old = None
        if old is not None and old["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
            return
        self.store.put(obj)
        for handler in self._handlers:
            if old is None:
                self._call(handler.on_add, obj)
            else:
                self._call(handler.on_update, old, obj)

    def _removed(self, key: str, last: Object | None) -> None:
        stored = self.store.remove(key)
        if stored is None:
            return
        for handler in self._handlers:
            self._call(handler.on_delete, last or stored)

    def _call(self, callback: Callable[..., None] | None, *objects: Object) -> None:
        if callback is None:
            return
        try:
            callback(*objects)
        except Exception:
            logger.exception("a handler for %s failed on %s", self.gvr, object_key(objects[-1]))


def _without_managed_fields(obj: Object) -> Object:
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


class _Key(NamedTuple):
    gvr: GroupVersionResource
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False


class InformerFactory:
    """One informer per resource and scope, shared by all who ask; `run` runs them all, also later ones."""

    def __init__(self, client: ListWatcher, *, rng: random.Random | None = None) -> None:
        self._client = client
        self._rng = rng or random.Random()
        self._informers: dict[_Key, Informer] = {}
        self._added = asyncio.Event()

    def informer(
        self,
        gvr: GroupVersionResource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        indexers: Mapping[str, IndexFunc] | None = None,
    ) -> Informer:
        """Who asks for ``metadata_only`` may get whole objects, if somebody follows them already."""
        key = _Key(gvr, namespace, label_selector, field_selector, metadata_only)
        informer = self._informers.get(key._replace(metadata_only=False)) or self._informers.get(key)
        if informer is None:
            informer = Informer(
                self._client,
                gvr,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                metadata_only=metadata_only,
                rng=self._rng,
            )
            self._informers[key] = informer
            self._added.set()
        informer.store.add_indexers(indexers or {})
        return informer

    async def run(self) -> None:
        """Run every informer until cancelled."""
        started: set[_Key] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._added.clear()
                for key, informer in self._informers.items():
                    if key not in started:
                        started.add(key)
                        group.create_task(informer.run(), name=f"informer {key.gvr.resource}")
                await self._added.wait()

    async def wait_synced(self) -> None:
        """Wait until every informer asked for so far has synced; the caller sets the timeout."""
        for informer in [*self._informers.values()]:
            await informer.wait_synced()
