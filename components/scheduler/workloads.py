"""Which pods belong together (P over informer stores): the selector for default spreading.

As the original's plugins/helper/spread.go: the selectors of all services that match the pod, ANDed with
that of the ReplicaSet, ReplicationController or StatefulSet that owns it.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver.api.labels import Selector, selector_from_label_selector, selector_from_set
from apiserver.api.meta import Object, controller_of, resource_version, uid
from components.client.informer import NAMESPACE_INDEX, Indexer
from components.scheduler.podinfo import PodInfo

Matches = Callable[[dict[str, str]], bool]


class Workloads:
    """`owners` maps the kind of a controller to its informer's store."""

    def __init__(self, services: Indexer, owners: dict[str, Indexer]) -> None:
        self._services = services
        self._owners = owners
        self._compiled: dict[str, tuple[str, Selector]] = {}

    def matcher(self, pod: PodInfo) -> Matches | None:
        """The test that the labels of the pod's companions pass; None for a pod on its own."""
        wanted: dict[str, str] = {}
        for service in self._services.by_index(NAMESPACE_INDEX, pod.namespace):
            selector = (service.get("spec") or {}).get("selector") or {}
            if selector and selector.items() <= pod.labels.items():
                wanted.update(selector)
        owner = self._owner_selector(pod)
        if owner is None:
            return selector_from_set(wanted).matches if wanted else None
        if not wanted:
            return owner.matches
        return lambda labels: wanted.items() <= labels.items() and owner.matches(labels)

    def _owner_selector(self, pod: PodInfo) -> Selector | None:
        reference = controller_of(pod.pod)
        store = self._owners.get(reference["kind"]) if reference else None
        if reference is None or store is None:
            return None
        owner = store.get(f"{pod.namespace}/{reference['name']}")
        if owner is None or uid(owner) != reference["uid"]:
            return None
        return self._compile(owner)

    def _compile(self, owner: Object) -> Selector:
        known = self._compiled.get(uid(owner))
        if known is not None and known[0] == resource_version(owner):
            return known[1]
        raw = (owner.get("spec") or {}).get("selector") or {}
        is_map = owner.get("kind") == "ReplicationController"
        selector = selector_from_set(raw) if is_map else selector_from_label_selector(raw)
        self._compiled[uid(owner)] = (resource_version(owner), selector)
        return selector

    def forget(self, owner: Object) -> None:
        self._compiled.pop(uid(owner), None)
