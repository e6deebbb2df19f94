"""An in-memory API server with the methods of `ApiClient`, for unit tests of components.

Honest where components depend on it: resource versions and conflicts, uids, generation, status kept
apart from spec, finalizers, graceful pod deletion, selectors, watch resumption and 410. It knows no
defaults, validation, admission, owners or namespaces' life. Works in real and in virtual time.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from apiserver.api.fields import parse_field_selector
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.labels import parse_selector
from apiserver.api.meta import Object, format_time, object_key
from components.client.errors import ConnectionFailed
from components.client.resources import PODS, kind_of
from components.client.testing_rules import (
    bind_pod,
    bump_generation,
    mark_deleted,
    merged,
    new_object,
    refuse,
    with_status_of,
)
from components.client.transport import MERGE_PATCH, WatchEvent


class Action(NamedTuple):
    """One request as received; `name` is empty for collections."""

    verb: str
    gvr: GroupVersionResource
    namespace: str
    name: str
    subresource: str
    body: Any


Reactor = Callable[[Action], None]


class _Logged(NamedTuple):
    version: int
    gvr: GroupVersionResource
    type: str
    object: Object
    previous: Object | None


class FakeApi:
    """`reactors` see each request first and may raise ApiError; `actions` lists the writes received."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self.actions: list[Action] = []
        self.reactors: list[Reactor] = []
        self._now = now or (lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self._objects: dict[GroupVersionResource, dict[str, Object]] = {}
        self._log: list[_Logged] = []
        self._compacted = 0
        self._version = 1
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._watch_breaks = 0

    # What a test does beside the API.

    def load(self, gvr: GroupVersionResource, *objects: Object) -> None:
        """Store objects as they are, status included (replacing), with uid and creation time if missing."""
        for obj in objects:
            stored = new_object(obj, kind_of(gvr), gvr, self._stamp(), next(self._numbers), keep_status=True)
            self._put(gvr, stored)

    def peek(self, gvr: GroupVersionResource, key: str) -> Object | None:
        """The stored object with key "namespace/name" or "name"; not a request."""
        return copy.deepcopy(self._objects.get(gvr, {}).get(key))

    def all(self, gvr: GroupVersionResource) -> list[Object]:
        return copy.deepcopy([*self._objects.get(gvr, {}).values()])

    def compact(self) -> None:
        """Forget history: watches from before now get 410."""
        self._compacted = self._version
        self._log.clear()

    def break_watches(self) -> None:
        """Every open watch fails as if its server had died."""
        self._watch_breaks += 1
        self._notify()

    # The API.

    async def get(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object:
        await self._arrive("get", gvr, namespace, name, subresource, None)
        return copy.deepcopy(self._find(gvr, namespace, name))

    async def list(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str | None = None,
        metadata_only: bool = False,
    ) -> Object:
        await self._arrive("list", gvr, namespace, "", None, None)
        matches = _matcher(namespace, label_selector, field_selector)
        found = [o for _, o in sorted(self._objects.get(gvr, {}).items()) if matches(o)]
        start = int(continue_ or 0)
        stop = start + limit if limit and resource_version != "0" else len(found)
        metadata = {"resourceVersion": str(self._version)}
        if stop < len(found):
            metadata["continue"] = str(stop)
        items = [_metadata(item) if metadata_only else copy.deepcopy(item) for item in found[start:stop]]
        return {"apiVersion": gvr.group_version, "kind": "List", "metadata": metadata, "items": items}

    async def create(
        self,
        gvr: GroupVersionResource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        scope = namespace or obj.get("metadata", {}).get("namespace")
        target = name or obj.get("metadata", {}).get("name", "")
        await self._arrive("create", gvr, scope, target, subresource, obj)
        if subresource == "binding" and gvr == PODS:
            pod = bind_pod(self._find(gvr, scope, target), obj, self._stamp())
            self._put(gvr, pod)
            return {"apiVersion": "v1", "kind": "Status", "status": "Success", "code": 201}
        if subresource == "eviction" and gvr == PODS:
            self._delete(gvr, self._find(gvr, scope, target), None, None)
            return {"apiVersion": "v1", "kind": "Status", "status": "Success", "code": 201}
        if subresource:
            raise refuse(404, "NotFound", f"FakeApi has no subresource {subresource} of {gvr.resource}")
        stored = new_object(obj, kind_of(gvr), gvr, self._stamp(), next(self._numbers), namespace=scope)
        if object_key(stored) in self._objects.get(gvr, {}):
            shown = stored["metadata"]["name"]
            raise refuse(409, "AlreadyExists", f'{gvr.group_resource} "{shown}" already exists')
        self._put(gvr, stored)
        return copy.deepcopy(stored)

    async def update(
        self, gvr: GroupVersionResource, obj: Object, *, subresource: str | None = None
    ) -> Object:
        metadata = obj["metadata"]
        scope, name = metadata.get("namespace"), metadata["name"]
        await self._arrive("update", gvr, scope, name, subresource, obj)
        old = self._find(gvr, scope, name)
        return self._replace(gvr, old, copy.deepcopy(obj), subresource)

    async def patch(
        self,
        gvr: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        content_type: str = MERGE_PATCH,
    ) -> Object:
        await self._arrive("patch", gvr, namespace, name, subresource, patch)
        old = self._find(gvr, namespace, name)
        return self._replace(gvr, old, merged(old, patch, content_type), subresource)

    async def delete(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        options = {"gracePeriodSeconds": grace_period_seconds, "propagationPolicy": propagation_policy}
        await self._arrive("delete", gvr, namespace, name, None, options)
        old = self._find(gvr, namespace, name)
        for field, wanted in (("uid", uid), ("resourceVersion", resource_version)):
            if wanted and wanted != old["metadata"].get(field):
                raise refuse(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {gvr.group_resource} "{name}": the {field} in the '
                    f"precondition ({wanted}) does not match",
                )
        return self._delete(gvr, old, grace_period_seconds, propagation_policy)

    async def delete_collection(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        await self._arrive("deletecollection", gvr, namespace, "", None, None)
        matches = _matcher(namespace, label_selector, field_selector)
        for obj in [o for o in self._objects.get(gvr, {}).values() if matches(o)]:
            self._delete(gvr, obj, None, None)

    async def watch(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        await self._arrive("watch", gvr, namespace, "", None, None)
        matches = _matcher(namespace, label_selector, field_selector)
        breaks, seen = self._watch_breaks, int(resource_version)
        end = asyncio.get_running_loop().time() + (timeout_seconds or 3600)
        while True:
            if self._watch_breaks != breaks:
                raise ConnectionFailed("the server went away")
            if seen < self._compacted:
                raise refuse(410, "Expired", f"too old resource version: {seen} ({self._compacted})")
            pending = [entry for entry in self._log if entry.version > seen]
            seen = self._version
            for entry in pending:
                event = _seen_through(entry, matches) if entry.gvr == gvr else None
                if event is not None:
                    yield event._replace(object=_metadata(event.object)) if metadata_only else event
            if not pending and not await self._wait_change(end):
                bookmark = {"kind": kind_of(gvr), "metadata": {"resourceVersion": str(seen)}}
                yield WatchEvent("BOOKMARK", bookmark)
                return

    async def close(self) -> None:
        return

    async def _arrive(
        self,
        verb: str,
        gvr: GroupVersionResource,
        namespace: str | None,
        name: str,
        subresource: str | None,
        body: Any,
    ) -> None:
        await asyncio.sleep(0)  # as over a network, others run before the answer
        action = Action(verb, gvr, namespace or "", name, subresource or "", copy.deepcopy(body))
        for reactor in self.reactors:
            reactor(action)
        if verb not in ("get", "list", "watch"):
            self.actions.append(action)

    def _find(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Object:
        obj = self._objects.get(gvr, {}).get(f"{namespace}/{name}" if namespace else name)
        if obj is None:
            raise refuse(404, "NotFound", f'{gvr.group_resource} "{name}" not found')
        return obj

    def _replace(
        self, gvr: GroupVersionResource, old: Object, new: Object, subresource: str | None
    ) -> Object:
        name, asked = old["metadata"]["name"], new["metadata"].get("resourceVersion")
        if asked and asked != old["metadata"]["resourceVersion"]:
            raise refuse(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {gvr.group_resource} "{name}": the object has been '
                "modified; please apply your changes to the latest version and try again",
            )
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if field in old["metadata"]:
                new["metadata"][field] = old["metadata"][field]
        new = with_status_of(old, new, subresource)
        bump_generation(old, new)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new == old:
            return copy.deepcopy(old)
        if "deletionTimestamp" in new["metadata"] and not _held(new):
            self._remove(gvr, new)
        else:
            self._put(gvr, new)
        return copy.deepcopy(new)

    def _delete(
        self, gvr: GroupVersionResource, old: Object, grace: int | None, policy: str | None
    ) -> Object:
        marked = mark_deleted(old, gvr, grace, policy, self._now())
        if not _held(marked):
            self._remove(gvr, marked)
        elif marked != old:
            self._put(gvr, marked)
        return copy.deepcopy(marked)

    def _put(self, gvr: GroupVersionResource, obj: Object) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        objects = self._objects.setdefault(gvr, {})
        previous = objects.get(object_key(obj))
        objects[object_key(obj)] = obj
        self._log.append(
            _Logged(self._version, gvr, "MODIFIED" if previous else "ADDED", copy.deepcopy(obj), previous)
        )
        self._notify()

    def _remove(self, gvr: GroupVersionResource, obj: Object) -> None:
        self._version += 1
        previous = self._objects[gvr].pop(object_key(obj))
        obj["metadata"]["resourceVersion"] = str(self._version)
        self._log.append(_Logged(self._version, gvr, "DELETED", copy.deepcopy(obj), previous))
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_change(self, end: float) -> bool:
        try:
            async with asyncio.timeout_at(end):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _stamp(self) -> str:
        return format_time(self._now())


def _metadata(obj: Object) -> Object:
    partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    return {**partial, "metadata": copy.deepcopy(obj["metadata"])}


def _held(obj: Object) -> bool:
    """Something keeps a deleted object: finalizers, or a grace period of a running pod."""
    metadata = obj["metadata"]
    return bool(metadata.get("finalizers")) or bool(metadata.get("deletionGracePeriodSeconds"))


def _matcher(namespace: str | None, label_selector: str, field_selector: str) -> Callable[[Object], bool]:
    labels, fields = parse_selector(label_selector), parse_field_selector(field_selector)

    def matches(obj: Object) -> bool:
        metadata = obj["metadata"]
        return (
            (not namespace or metadata.get("namespace") == namespace)
            and labels.matches(metadata.get("labels") or {})
            and fields.matches(_fields(obj))
        )

    return matches


def _fields(obj: Object) -> dict[str, str]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "metadata.name": obj["metadata"]["name"],
        "metadata.namespace": obj["metadata"].get("namespace", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "status.phase": status.get("phase", ""),
        "type": obj.get("type") or "",
    }


def _seen_through(entry: _Logged, matches: Callable[[Object], bool]) -> WatchEvent | None:
    """A change that moves an object in or out of a selector is an ADDED or DELETED to its watcher."""
    is_in = matches(entry.object)
    was_in = entry.previous is not None and matches(entry.previous)
    obj = copy.deepcopy(entry.object)
    if entry.type == "DELETED":
        return WatchEvent("DELETED", obj) if was_in else None
    if is_in:
        return WatchEvent("MODIFIED" if was_in else "ADDED", obj)
    return WatchEvent("DELETED", obj) if was_in else None
