"""Follows every deletable resource the server lists, and deletes what has lost all its owners.

The graph is built from informers that the other controllers share, or of metadata alone. Before an object is
deleted, it and the owners the graph does not know are read from the API server: a cache that lags must not cost an
object. An owner must be cluster-scoped or in its dependent's namespace; elsewhere it counts as absent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from apiserver.api import meta
from apiserver.api.conditions import has_condition
from apiserver.api.gvk import GroupVersion
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.informer import Informer
from components.client.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.discovery import ServedResource, served_resources
from components.controllers.garbagecollector.graph import Graph, Node
from components.controllers.garbagecollector.plan import (
    FOREGROUND,
    ORPHAN,
    Owners,
    blocks,
    deletion_policy,
    is_foreground,
    is_orphaning,
    unblocked,
    without_finalizer,
    without_owners,
)

logger = logging.getLogger(__name__)

_REDISCOVER = 30.0  # seconds
_SOON = 1.0
_SETTLE = 0.2  # seconds after a change of a definition, which comes with others and is served a moment later
_NEEDED = {"list", "watch", "delete", "patch", "get"}


class GarbageCollector:
    name = "garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder("garbage-collector-controller")
        self._graph = Graph()
        self._queue = WorkQueue()
        self._resources: dict[tuple[str, str], ServedResource] = {}
        self._informers: dict[ServedResource, Informer] = {}
        self._definitions = context.informers.informer(CUSTOM_RESOURCE_DEFINITIONS)
        self._redefined = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._informers:
                await self._discover()
                if not self._informers:
                    await asyncio.sleep(1)
            group.create_task(self._keep_discovering(), name="garbage collector discovery")
            for informer in self._informers.values():
                await informer.wait_synced()
            workers = self._context.options.concurrent_gc_syncs
            await run_workers(self._queue, self.sync, workers, self.name)

    async def _keep_discovering(self) -> None:
        """Every now and then, and soon when definitions have changed: until what they define is served."""
        self._definitions.add_handler(
            lambda _: self._redefined.set(), lambda *_: self._redefined.set(), lambda _: self._redefined.set()
        )
        pause = _REDISCOVER
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._redefined.wait()
            self._redefined.clear()
            await asyncio.sleep(_SETTLE)
            await self._discover()
            pause = _REDISCOVER if self._defined() <= self._resources.keys() else _SOON

    def _defined(self) -> set[tuple[str, str]]:
        """Group and kind of what definitions say is served."""
        return {
            (definition["spec"]["group"], definition["status"]["acceptedNames"]["kind"])
            for definition in self._definitions.store.list()
            if has_condition(definition, "Established") and not meta.is_deleting(definition)
        }

    async def _discover(self) -> None:
        try:
            served = await served_resources(self._client)
        except ApiError as error:
            logger.info("discovery will be tried again: %s", error)
            return
        for resource in served:
            self._resources[resource.gvr.group, resource.kind] = resource
            if resource.verbs >= _NEEDED and resource.gvr != EVENTS and resource not in self._informers:
                self._follow(resource)

    def _follow(self, resource: ServedResource) -> None:
        informers = self._context.informers
        informer = self._informers[resource] = informers.informer(resource.gvr, metadata_only=True)

        def changed(obj: Object) -> None:
            self._changed(Node(resource.gvr, resource.kind, obj))

        informer.add_handler(changed, lambda _, new: changed(new), self._deleted)

    def _changed(self, node: Node) -> None:
        self._graph.put(node)
        if meta.owner_references(node.obj) or is_foreground(node.obj) or is_orphaning(node.obj):
            self._queue.add(node.uid)
        if is_foreground(node.obj):
            self._enqueue_dependents(node.uid)

    def _deleted(self, obj: Object) -> None:
        uid = meta.uid(obj)
        self._graph.remove(uid)
        self._enqueue_dependents(uid)
        for reference in meta.owner_references(obj):
            owner = self._graph.get(reference["uid"])
            if owner is not None and is_foreground(owner.obj):
                self._queue.add(owner.uid)

    def _enqueue_dependents(self, uid: str) -> None:
        for dependent in self._graph.dependents(uid):
            self._queue.add(dependent.uid)

    async def sync(self, uid: str) -> None:
        node = self._graph.get(uid)
        if node is None:
            return
        if is_orphaning(node.obj):
            await self._orphan_dependents(node)
        elif is_foreground(node.obj):
            await self._finish_foreground(node)
        elif not meta.is_deleting(node.obj) and meta.owner_references(node.obj):
            await self._collect(node)

    async def _orphan_dependents(self, node: Node) -> None:
        for dependent in self._graph.dependents(node.uid):
            await self._patch(dependent, without_owners(dependent.obj, {node.uid}))
        await self._patch(node, without_finalizer(node.obj, ORPHAN))

    async def _finish_foreground(self, node: Node) -> None:
        blocking = [d for d in self._graph.dependents(node.uid) if blocks(d.obj, node.uid)]
        if blocking:
            for dependent in blocking:
                self._queue.add(dependent.uid)
            return
        await self._patch(node, without_finalizer(node.obj, FOREGROUND))

    async def _collect(self, node: Node) -> None:
        owners = await self._classify(node)
        if not (owners.dangling or owners.waiting):
            return
        fresh = await self._read(node)
        if fresh is None or meta.is_deleting(fresh):
            return
        if meta.owner_references(fresh) != meta.owner_references(node.obj):
            # The event of that change brings the object back here.
            return
        if owners.solid:
            gone = {reference["uid"] for reference in owners.dangling + owners.waiting}
            await self._patch(node, without_owners(fresh, gone))
            return
        dependents = [*self._graph.dependents(node.uid)]
        if owners.waiting and any(is_foreground(d.obj) for d in dependents):
            patched = await self._patch(node, unblocked(fresh))
            fresh = patched or fresh
        policy = deletion_policy(fresh, owners, has_dependents=bool(dependents))
        if policy is not None:
            await self._delete(node, policy)

    async def _classify(self, node: Node) -> Owners:
        owners = Owners()
        for reference in meta.owner_references(node.obj):
            owner = await self._owner(node, reference)
            if owner is None:
                owners.dangling.append(reference)
            elif is_foreground(owner) and reference.get("blockOwnerDeletion"):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _owner(self, node: Node, reference: Object) -> Object | None:
        """The owner, from the graph or else from the server; None if it is certainly absent."""
        known = self._graph.get(reference["uid"])
        if known is not None and meta.namespace(known.obj) in ("", meta.namespace(node.obj)):
            return known.obj
        resource = self._resource_of(reference)
        namespace = meta.namespace(node.obj)
        if resource.namespaced and not namespace:
            self._refuse_reference(node, reference)
            return reference  # unresolvable: never a reason to delete
        try:
            owner = await self._client.get(
                resource.gvr, reference["name"], namespace if resource.namespaced else None
            )
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return owner if meta.uid(owner) == reference["uid"] else None

    def _resource_of(self, reference: Object) -> ServedResource:
        group = GroupVersion.parse(reference["apiVersion"]).group
        resource = self._resources.get((group, reference["kind"]))
        if resource is None:
            raise ApiError(
                404, "NoMatch", f"no resource is served for owner kind {reference['kind']}.{group}"
            )
        return resource

    def _refuse_reference(self, node: Node, reference: Object) -> None:
        text = (
            f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: , "
            f"name: {reference['name']}, uid: {reference['uid']}] does not exist in namespace"
        )
        typed = {**node.obj, "apiVersion": node.gvr.group_version, "kind": node.kind}
        self._recorder.event(typed, "Warning", "OwnerRefInvalidNamespace", text)

    async def _read(self, node: Node) -> Object | None:
        try:
            fresh = await self._client.get(node.gvr, meta.name(node.obj), meta.namespace(node.obj) or None)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return fresh if meta.uid(fresh) == node.uid else None

    async def _patch(self, node: Node, patch: Object) -> Object | None:
        namespace = meta.namespace(node.obj) or None
        try:
            return await self._client.patch(node.gvr, meta.name(node.obj), patch, namespace)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise

    async def _delete(self, node: Node, policy: str) -> None:
        name, namespace = meta.name(node.obj), meta.namespace(node.obj) or None
        try:
            await self._client.delete(node.gvr, name, namespace, propagation_policy=policy, uid=node.uid)
        except ApiError as error:
            if not error.is_not_found:
                raise
