"""All nodes with their pods, including pods just decided but not yet confirmed (P).

Fed by informer events and the scheduler's own decisions; read by plugins. A scheduling cycle is one
synchronous step of the event loop, so it reads the cache itself: no snapshot has to be copied.

States of a pod: absent -> assumed (decided by us) -> added (its assignment was seen) -> absent. An
assumed pod whose binding finished but was never seen expires, as in the original's cache.
"""

from __future__ import annotations

from apiserver.api.meta import Object
from components.scheduler.nodeinfo import NodeInfo
from components.scheduler.podinfo import PodInfo

ASSUMED_SECONDS = 120.0


class Cache:
    """Times are monotonic seconds of the caller's clock."""

    def __init__(self) -> None:
        self._infos: dict[str, NodeInfo] = {}
        self._live: list[NodeInfo] | None = None
        self._where: dict[str, str] = {}
        self._assumed: dict[str, float | None] = {}  # key -> when it expires; None: binding

    @property
    def nodes(self) -> list[NodeInfo]:
        """The nodes that exist, in order of their arrival."""
        if self._live is None:
            self._live = [info for info in self._infos.values() if info.node is not None]
        return self._live

    def node(self, name: str) -> NodeInfo | None:
        info = self._infos.get(name)
        return info if info is not None and info.node is not None else None

    def set_node(self, node: Object) -> None:
        self._info(node["metadata"]["name"]).set_node(node)
        self._live = None

    def remove_node(self, name: str) -> None:
        """Its pods stay counted, in case the node comes back before they are deleted."""
        info = self._infos.get(name)
        if info is None:
            return
        info.set_node(None)
        self._drop_if_empty(name)
        self._live = None

    def assume(self, pod: PodInfo, node_name: str) -> None:
        """Count `pod` on the node from now on; ValueError if it already is on one."""
        if pod.key in self._where:
            raise ValueError(f"pod {pod.key} is already in the cache")
        self._place(pod, node_name)
        self._assumed[pod.key] = None

    def finish_binding(self, key: str, now: float) -> None:
        if key in self._assumed:
            self._assumed[key] = now + ASSUMED_SECONDS

    def forget(self, key: str) -> None:
        """Undo `assume`; a pod that was confirmed meanwhile stays."""
        if self._assumed.pop(key, _ABSENT) is not _ABSENT:
            self._remove(key)

    def expire(self, now: float) -> list[str]:
        """Forget assumed pods that were bound but never seen; their keys."""
        late = [key for key, due in self._assumed.items() if due is not None and due <= now]
        for key in late:
            self.forget(key)
        return late

    def is_assumed(self, key: str) -> bool:
        return key in self._assumed

    def set_pod(self, pod: PodInfo) -> None:
        """An assigned pod was seen, first or again; its assignment overrules what we assumed."""
        self._assumed.pop(pod.key, None)
        self._remove(pod.key)
        self._place(pod, pod.node_name)

    def pod(self, key: str) -> PodInfo | None:
        where = self._where.get(key)
        return self._infos[where].pods.get(key) if where is not None else None

    def remove_pod(self, key: str) -> None:
        self._assumed.pop(key, None)
        self._remove(key)

    def _place(self, pod: PodInfo, node_name: str) -> None:
        self._info(node_name).add_pod(pod)
        self._where[pod.key] = node_name

    def _remove(self, key: str) -> None:
        where = self._where.pop(key, None)
        if where is not None:
            self._infos[where].remove_pod(key)
            self._drop_if_empty(where)

    def _info(self, name: str) -> NodeInfo:
        info = self._infos.get(name)
        if info is None:
            info = self._infos[name] = NodeInfo(name)
        return info

    def _drop_if_empty(self, name: str) -> None:
        info = self._infos[name]
        if info.node is None and not info.pods:
            del self._infos[name]


_ABSENT = object()
