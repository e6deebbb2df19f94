"""Writes the scheduler's decisions: bindings, the PodScheduled condition, events.

Between the scheduling loop, which never waits for it, and the API server. What a failed binding means
for cache and queue is decided by the scheduler through `on_bound` and `on_failed`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from apiserver.api.conditions import get_condition
from apiserver.api.meta import format_time
from components.client.errors import ApiError
from components.client.events import EventRecorder
from components.client.resources import PODS
from components.client.transport import STRATEGIC_PATCH, ApiClient
from components.scheduler.podinfo import PodInfo
from components.scheduler.queue import QueuedPod

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 64


class Binder:
    """At most MAX_IN_FLIGHT bindings at once; `reserve` waits for a place."""

    def __init__(
        self,
        client: ApiClient,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        on_bound: Callable[[QueuedPod], None],
        on_failed: Callable[[QueuedPod, ApiError], None],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._now = now
        self._on_bound = on_bound
        self._on_failed = on_failed
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def reserve(self) -> None:
        await self._slots.acquire()

    def release(self) -> None:
        self._slots.release()

    async def bind(self, queued: QueuedPod, node_name: str) -> None:
        """Assign the pod; needs a place from `reserve` and gives it back."""
        pod = queued.info
        try:
            await self._client.create(
                PODS, _binding(pod, node_name), namespace=pod.namespace, name=pod.name, subresource="binding"
            )
        except ApiError as error:
            self._on_failed(queued, error)
            return
        finally:
            self.release()
        self._on_bound(queued)
        message = f"Successfully assigned {pod.key} to {node_name}"
        self._recorder.event(pod.pod, "Normal", "Scheduled", message)

    async def report(self, pod: PodInfo, reason: str, message: str) -> None:
        """Tell why the pod is not scheduled: a FailedScheduling event and, if it changed, the condition."""
        self._recorder.event(pod.pod, "Warning", "FailedScheduling", message)
        old = get_condition(pod.pod, "PodScheduled") or {}
        if (old.get("status"), old.get("reason"), old.get("message")) == ("False", reason, message):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "observedGeneration": pod.pod["metadata"].get("generation"),
        }
        if old.get("status") != "False":
            condition["lastTransitionTime"] = format_time(self._now())
        try:
            await self._client.patch(
                PODS,
                pod.name,
                {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}},
                pod.namespace,
                subresource="status",
                content_type=STRATEGIC_PATCH,
            )
        except ApiError as error:
            logger.info("condition of pod %s not written: %s", pod.key, error)


def _binding(pod: PodInfo, node_name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
    }
