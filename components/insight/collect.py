"""Gathers what may explain an object, from a `Source`: its events, what it depends on, what it owns.

Reads no more than the kind needs. The result is a `Situation`; `explain` decides what it means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from apiserver.api import meta
from apiserver.api.journal import Record
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_ready, is_pod_terminal
from components.insight.objects import Source
from components.insight.situation import Kind, Situation, event_time

RecordsOf = Callable[[Kind, str, str], Awaitable[list[Record]]]
"""The records of an object, oldest first."""

EVENT: Final = Kind("", "v1", "events", "Event", True)
NODE: Final = Kind("", "v1", "nodes", "Node", False)
POD: Final = Kind("", "v1", "pods", "Pod", True)
CLAIM: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True)
VOLUME: Final = Kind("", "v1", "persistentvolumes", "PersistentVolume", False)
STORAGE_CLASS: Final = Kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", False)
SLICE: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True)
REPLICA_SET: Final = Kind("apps", "v1", "replicasets", "ReplicaSet", True)
JOB: Final = Kind("batch", "v1", "jobs", "Job", True)
OWNED: Final = {
    "Deployment": REPLICA_SET,
    "CronJob": JOB,
    **dict.fromkeys(("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"), POD),
}
"""What a kind owns."""
_MOST_PARTS: Final = 3


async def no_records(kind: Kind, namespace: str, name: str) -> list[Record]:
    """Of a cluster that keeps none."""
    return []


class Collector:
    def __init__(self, source: Source, now: datetime, records: RecordsOf = no_records) -> None:
        self._source, self._now, self._records = source, now, records

    async def situation(self, kind: Kind, namespace: str, name: str) -> Situation:
        obj = await self._source.get(kind, namespace, name)
        found = await self._of(kind, namespace, name, obj)
        if obj is not None:
            found.parts = await self._parts(obj)
        return found

    async def _of(self, kind: Kind, namespace: str, name: str, obj: Object | None) -> Situation:
        found = Situation(kind, namespace, name, obj, self._now)
        found.records = await self._records(kind, namespace, name)
        if obj is not None:
            uid = meta.uid(obj)
            found.records = [r for r in found.records if not r.object.uid or r.object.uid == uid]
        found.events = await self._events(kind, namespace, name, obj)
        if obj is not None and (more := _MORE.get(kind.kind)) is not None:
            await more(self._source, found)
        return found

    async def _events(self, kind: Kind, namespace: str, name: str, obj: Object | None) -> list[Object]:
        """In the order of their times. Of an object that is gone, by its name."""
        listed = await self._source.list(EVENT, namespace or "default", containing=name)
        mine = [event for event in listed if _is_about(event, kind, name, meta.uid(obj) if obj else "")]
        return sorted(mine, key=event_time)

    async def _parts(self, obj: Object) -> list[Situation]:
        """Those it owns that are not well, through all levels, the first few."""
        found: list[Situation] = []
        waiting = [obj]
        while waiting and len(found) < _MOST_PARTS:
            owner = waiting.pop(0)
            kind = OWNED.get(str(owner.get("kind")))
            if kind is None:
                continue
            uid = meta.uid(owner)
            listed = await self._source.list(kind, meta.namespace(owner), containing=uid)
            for part in listed:
                if _is_owned(part, uid) and _is_unwell(part) and len(found) < _MOST_PARTS:
                    waiting.append({"kind": kind.kind, **part})
                    found.append(await self._of(kind, meta.namespace(part), meta.name(part), part))
        return found


def _is_about(event: Object, kind: Kind, name: str, uid: str) -> bool:
    about = event.get("involvedObject") or event.get("regarding") or {}
    if about.get("name") != name or about.get("kind") != kind.kind:
        return False
    # Events about nodes carry the node's name in place of its uid.
    return not uid or about.get("uid") in (uid, name, None, "")


def _is_owned(obj: Object, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or [])


def _is_unwell(obj: Object) -> bool:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if "containers" in spec:
        return status.get("phase") != "Succeeded" and not is_pod_ready(obj)
    return int(status.get("readyReplicas") or 0) < int(spec.get("replicas") or 0)


async def _for_pod(source: Source, found: Situation) -> None:
    node = found.spec.get("nodeName")
    if node:
        one = await source.get(NODE, "", node)
        found.related["Node"] = [one] if one is not None else []
    elif found.status.get("phase") not in ("Succeeded", "Failed"):
        found.related["Node"] = await source.list(NODE)
        if "Insufficient" in str(found.condition("PodScheduled").get("message")):
            placed = await source.list(POD, containing='"nodeName"')
            found.related["Pod"] = [pod for pod in placed if not is_pod_terminal(pod)]
    if any("persistentVolumeClaim" in volume for volume in found.spec.get("volumes") or []):
        found.related["PersistentVolumeClaim"] = await source.list(CLAIM, found.namespace)


async def _for_service(source: Source, found: Situation) -> None:
    slices = await source.list(SLICE, found.namespace, containing=found.name)
    found.related["EndpointSlice"] = [
        part for part in slices if meta.labels(part).get("kubernetes.io/service-name") == found.name
    ]
    selector: dict[str, Any] = found.spec.get("selector") or {}
    if selector:
        found.related["Pod"] = await source.list(POD, found.namespace, containing=str(next(iter(selector))))


async def _for_node(source: Source, found: Situation) -> None:
    pods = await source.list(POD, containing=f'"nodeName":"{found.name}"')
    found.related["Pod"] = [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") == found.name]


async def _for_claim(source: Source, found: Situation) -> None:
    found.related["StorageClass"] = await source.list(STORAGE_CLASS)
    found.related["PersistentVolume"] = await source.list(VOLUME)


_MORE: Final[dict[str, Callable[[Source, Situation], Awaitable[None]]]] = {
    "Pod": _for_pod,
    "Service": _for_service,
    "Node": _for_node,
    "PersistentVolumeClaim": _for_claim,
}
