"""The scheduler: informer events in, bindings out.

One loop pops a pod, decides in one synchronous step (`algorithm` over `cache`), assumes the pod on the
node and leaves the binding to a task of its own, so that decisions never wait for requests. What fits
nowhere goes back to the `queue` until an event may help it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from apiserver.api.journal import ObjectRef
from apiserver.api.meta import labels, resource_version
from components.client.activity import Activity
from components.client.errors import ApiError
from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.resources import (
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    STATEFUL_SETS,
)
from components.client.transport import ApiClient
from components.scheduler import telling
from components.scheduler.algorithm import Rejected
from components.scheduler.binder import Binder
from components.scheduler.cache import Cache
from components.scheduler.diagnosis import fit_error
from components.scheduler.handlers import ClusterHandlers
from components.scheduler.podinfo import PodInfo
from components.scheduler.profile import default_profile
from components.scheduler.queue import QueuedPod, SchedulingQueue
from components.scheduler.workloads import Workloads

logger = logging.getLogger(__name__)

ACTIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
_FLUSH_SECONDS = 30.0
_REPORTS_IN_FLIGHT = 16


class Scheduler:
    """`informers` must be run by the caller; `run` waits for them to sync. One `run` per instance."""

    def __init__(
        self,
        client: ApiClient,
        informers: InformerFactory,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        rng: random.Random,
        *,
        scheduler_name: str = "default-scheduler",
        activity: Activity | None = None,
    ) -> None:
        self._activity = activity
        self._cache = Cache()
        namespaces = informers.informer(NAMESPACES).store
        workloads = _workloads(informers)
        self._algorithm, plugins = default_profile(
            workloads.matcher, lambda name: labels(namespaces.get(name) or {}), rng
        )
        self._queue = SchedulingQueue(plugins)
        self._binder = Binder(client, recorder, now, self._bound, self._bind_failed)
        self._reports = asyncio.Semaphore(_REPORTS_IN_FLIGHT)
        self._ready = asyncio.Event()
        self._pods = informers.informer(PODS, field_selector=ACTIVE_PODS)
        self._nodes = informers.informer(NODES)
        self._informers = informers
        self._handlers = ClusterHandlers(self._cache, self._queue, _clock, self._ready.set, scheduler_name)
        self._handlers.register(self._pods, self._nodes)
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Schedule until cancelled; bindings on their way are cancelled too and seen by the next leader."""
        await self._informers.wait_synced()
        logger.info("scheduling over %d nodes", len(self._cache.nodes))
        with self._seen_working():
            await self._schedule()

    async def _schedule(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._tasks = group
            group.create_task(self._flush_regularly(), name="scheduler flush")
            while True:
                await self._binder.reserve()
                try:
                    queued = await self._next()
                except BaseException:
                    self._binder.release()
                    raise
                self._schedule_one(queued, group)
                await asyncio.sleep(0)

    async def _next(self) -> QueuedPod:
        while True:
            self._ready.clear()
            self._queue.flush(_clock())
            queued = self._queue.pop()
            if queued is not None:
                return queued
            try:
                async with asyncio.timeout_at(self._queue.next_backoff()):
                    await self._ready.wait()
            except TimeoutError:
                continue

    def _schedule_one(self, queued: QueuedPod, group: asyncio.TaskGroup) -> None:
        pod = queued.info
        if self._cache.is_assumed(pod.key) or self._pods.store.get(pod.key) is None:
            self._binder.release()
            return
        begun = time.perf_counter()
        decision = self._algorithm.schedule(pod, self._cache.nodes)
        took = (time.perf_counter() - begun) * 1000
        if isinstance(decision, Rejected):
            self._binder.release()
            message = fit_error(pod, decision, self._cache.nodes)
            self._tell(pod, "unschedulable", "", f"{pod.key} fits nowhere: {message}", took)
            self._queue.put_unschedulable(queued, decision.plugins, _clock())
            group.create_task(self._report(queued, "Unschedulable", message))
            return
        summary = telling.summary(self._algorithm.trace, pod.key, decision.name)
        self._tell(pod, "bound", decision.name, summary, took)
        self._cache.assume(pod, decision.name)
        group.create_task(self._binder.bind(queued, decision.name), name=f"bind {pod.key}")

    def _tell(self, pod: PodInfo, result: str, node: str, summary: str, milliseconds: float) -> None:
        if self._activity is None:
            return
        detail = telling.detail(self._algorithm.trace, result, node, milliseconds)
        ref = ObjectRef("pods", "", pod.namespace, pod.name, pod.uid)
        version = resource_version(pod.pod)
        revision = int(version) if version.isdigit() else None
        ago = milliseconds / 1000
        self._activity.journal.note("scheduler", "decision", ref, summary, detail, revision=revision, ago=ago)

    @contextmanager
    def _seen_working(self) -> Iterator[None]:
        if self._activity is None:
            yield
            return
        self._activity.scheduler = self._queue
        try:
            yield
        finally:
            self._activity.scheduler = None

    async def _report(self, queued: QueuedPod, reason: str, message: str) -> None:
        async with self._reports:
            await self._binder.report(queued.info, reason, message)

    def _bound(self, queued: QueuedPod) -> None:
        self._cache.finish_binding(queued.info.key, _clock())

    def _bind_failed(self, queued: QueuedPod, error: ApiError) -> None:
        """The pod may be gone, or assigned by someone else: its informer knows or soon will."""
        logger.info("binding pod %s failed: %s", queued.info.key, error)
        self._tell_error(queued.info, error)
        self._handlers.unassume(queued.info)
        stored = self._pods.store.get(queued.info.key)
        if error.is_not_found or stored is None or (stored.get("spec") or {}).get("nodeName"):
            return
        self._queue.put_back(queued, _clock())
        self._ready.set()
        if self._tasks is not None:
            message = f"binding rejected: {error.message}"
            self._tasks.create_task(self._report(queued, "SchedulerError", message))

    def _tell_error(self, pod: PodInfo, error: ApiError) -> None:
        if self._activity is None:
            return
        ref = ObjectRef("pods", "", pod.namespace, pod.name, pod.uid)
        detail = {"result": "error", "error": error.message}
        text = f"{pod.key} was not bound: {error.message}"
        self._activity.journal.note("scheduler", "decision", ref, text, detail)

    async def _flush_regularly(self) -> None:
        """Long waits end, assumed pods that were never seen expire."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._queue.flush(_clock())
            for key in self._cache.expire(_clock()):
                logger.warning("pod %s was bound but never seen on its node; its place is free again", key)
            self._ready.set()


def _workloads(informers: InformerFactory) -> Workloads:
    owners = {
        "ReplicaSet": informers.informer(REPLICA_SETS),
        "ReplicationController": informers.informer(REPLICATION_CONTROLLERS),
        "StatefulSet": informers.informer(STATEFUL_SETS),
    }
    stores = {kind: informer.store for kind, informer in owners.items()}
    workloads = Workloads(informers.informer(SERVICES).store, stores)
    for informer in owners.values():
        informer.add_handler(on_delete=workloads.forget)
    return workloads


def _clock() -> float:
    return asyncio.get_running_loop().time()
