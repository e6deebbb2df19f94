"""Turns changes of Services and pods into Service keys, for the two endpoint controllers.

A pod is looked up in the Services of its namespace, by its labels before and after a change.
"""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.labels import selector_from_set
from apiserver.api.meta import Object
from components.client.informer import NAMESPACE_INDEX
from components.client.resources import SERVICES
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.objects import spec, status
from components.controllers.common.services import selected_pods, selects_pods

_STATUS_FIELDS = ("podIP", "podIPs", "phase", "conditions")


class ServiceWatch:
    def __init__(self, context: ControllerContext, queue: WorkQueue) -> None:
        self._queue = queue
        self.services = context.informers.informer(SERVICES)
        self.pods = context.pods()
        self.services.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        self.pods.add_handler(self._pod_changed, self._pod_updated, self._pod_changed)

    def pods_of(self, service: Object) -> list[Object]:
        candidates = self.pods.store.by_index(NAMESPACE_INDEX, meta.namespace(service))
        return selected_pods(service, candidates)

    def _enqueue(self, service: Object) -> None:
        self._queue.add(meta.object_key(service))

    def _pod_updated(self, old: Object, pod: Object) -> None:
        if not _matters(old, pod):
            return
        self._pod_changed(pod)
        if meta.labels(old) != meta.labels(pod):
            self._pod_changed(old)

    def _pod_changed(self, pod: Object) -> None:
        for service in self.services.store.by_index(NAMESPACE_INDEX, meta.namespace(pod)):
            if selects_pods(service) and selector_from_set(spec(service)["selector"]).matches(
                meta.labels(pod)
            ):
                self._enqueue(service)


def _matters(old: Object, new: Object) -> bool:
    if meta.labels(old) != meta.labels(new) or meta.is_deleting(old) != meta.is_deleting(new):
        return True
    if spec(old).get("nodeName") != spec(new).get("nodeName"):
        return True
    return any(status(old).get(name) != status(new).get(name) for name in _STATUS_FIELDS)
