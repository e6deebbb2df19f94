"""What each informer event means for cache and queue, as the original's eventhandlers.go.

Assigned pods go to the cache, unassigned ones of our scheduler name to the queue; every change of the
cluster is also offered to the pods that wait for one.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver.api.meta import Object, object_key
from apiserver.api.pods import is_pod_terminal
from components.client.informer import Informer
from components.scheduler.cache import Cache
from components.scheduler.framework import ClusterEvent, EventKind, node_info_of
from components.scheduler.podinfo import PodInfo
from components.scheduler.queue import SchedulingQueue


class ClusterHandlers:
    """`wake` is called whenever the queue may have become ready."""

    def __init__(
        self,
        cache: Cache,
        queue: SchedulingQueue,
        clock: Callable[[], float],
        wake: Callable[[], None],
        scheduler_name: str,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._clock = clock
        self._wake = wake
        self._scheduler_name = scheduler_name

    def register(self, pods: Informer, nodes: Informer) -> None:
        nodes.add_handler(self._node_added, self._node_updated, self._node_deleted)
        pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    def unassume(self, pod: PodInfo) -> None:
        """A binding failed: the place is free again, which may help another pod."""
        if self._cache.is_assumed(pod.key):
            self._cache.forget(pod.key)
            self._move(ClusterEvent(EventKind.POD_DELETE, pod=pod))

    def _node_added(self, node: Object) -> None:
        self._cache.set_node(node)
        self._move(ClusterEvent(EventKind.NODE_ADD, node=node_info_of(node)))

    def _node_updated(self, old: Object, new: Object) -> None:
        if _seen_by_plugins(old) == _seen_by_plugins(new):
            return  # a heartbeat
        self._cache.set_node(new)
        event = ClusterEvent(EventKind.NODE_UPDATE, node=node_info_of(new), old_node=node_info_of(old))
        self._move(event)

    def _node_deleted(self, node: Object) -> None:
        self._cache.remove_node(node["metadata"]["name"])

    def _pod_added(self, pod: Object) -> None:
        if is_pod_terminal(pod):
            return
        info = PodInfo(pod)
        if info.node_name:
            self._place(info, EventKind.POD_ADD, None)
        elif self._ours(pod):
            self._queue.add(info, self._clock())
            self._wake()

    def _pod_updated(self, old: Object, new: Object) -> None:
        if is_pod_terminal(new):
            self._pod_deleted(old)
            return
        known = self._cache.pod(object_key(new))
        info = known.updated(new) if known is not None else PodInfo(new)
        if info.node_name:
            placed = known is not None and bool((old.get("spec") or {}).get("nodeName"))
            kind = EventKind.POD_UPDATE if placed else EventKind.POD_ADD
            self._place(info, kind, known if placed else None)
        elif self._ours(new) and not self._cache.is_assumed(info.key):
            self._queue.update(info, self._clock())
            self._wake()
        elif not self._ours(new):
            self._queue.delete(info.key)

    def _pod_deleted(self, pod: Object) -> None:
        info = PodInfo(pod)
        self._queue.delete(info.key)
        if self._cache.pod(info.key) is not None:
            self._cache.remove_pod(info.key)
            self._move(ClusterEvent(EventKind.POD_DELETE, pod=info))

    def _place(self, info: PodInfo, kind: EventKind, old: PodInfo | None) -> None:
        self._queue.delete(info.key)
        self._cache.set_pod(info)
        if old is not None and old.labels == info.labels and old.terminating == info.terminating:
            if old.requests == info.requests:
                return  # only its status changed
            if any(amount < old.requests.get(name, 0) for name, amount in info.requests.items()):
                kind = EventKind.POD_DELETE  # a resize in place freed something
        self._move(ClusterEvent(kind, pod=info, old_pod=old))

    def _ours(self, pod: Object) -> bool:
        """Gated pods wait outside the queue until their gates are removed."""
        spec = pod.get("spec") or {}
        name = spec.get("schedulerName") or "default-scheduler"
        deleting = "deletionTimestamp" in pod["metadata"]
        return name == self._scheduler_name and not spec.get("schedulingGates") and not deleting

    def _move(self, event: ClusterEvent) -> None:
        if self._queue.move(event, self._clock()):
            self._wake()


def _seen_by_plugins(node: Object) -> tuple[object, ...]:
    status = node.get("status") or {}
    return node["metadata"].get("labels"), node.get("spec"), status.get("allocatable"), status.get("capacity")
