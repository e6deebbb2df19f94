"""Every 20 s: deletes finished pods beyond the threshold, pods of gone nodes, unscheduled terminating pods.

A node must have been missing for 40 s, and the server must confirm it, before its pods are deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set

from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.resources import NODES, PODS
from components.controllers.common.context import ControllerContext, loop_time
from components.controllers.common.objects import spec
from components.controllers.podgc.plan import concerns, plan

logger = logging.getLogger(__name__)

_PERIOD = 20.0
_QUARANTINE = 40.0
_SLICE = 2000


class PodGarbageCollector:
    name = "pod-garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._pods = context.pods()
        self._nodes = context.informers.informer(NODES)
        self._missing_since: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            try:
                await self.collect()
            except ApiError as error:
                logger.info("%s: will be tried again: %s", self.name, error)
            await asyncio.sleep(_PERIOD)

    async def collect(self) -> None:
        nodes = set(self._nodes.store.keys())
        threshold = self._context.options.terminated_pod_gc_threshold
        steps = plan(await self._concerned(nodes), nodes, threshold)
        gone = await self._confirmed_gone({spec(pod)["nodeName"] for pod in steps.orphaned})
        orphaned = [pod for pod in steps.orphaned if spec(pod)["nodeName"] in gone]
        for pod in [*steps.terminated, *orphaned, *steps.unscheduled]:
            await self._delete(pod)

    async def _concerned(self, nodes: Set[str]) -> list[Object]:
        """Some pods in each turn of the event loop: with very many, all at once would hold it."""
        found = []
        for number, pod in enumerate(self._pods.store.list(), 1):
            if concerns(pod, nodes):
                found.append(pod)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return found

    async def _confirmed_gone(self, missing: set[str]) -> set[str]:
        now = loop_time()
        self._missing_since = {node: self._missing_since.get(node, now) for node in missing}
        due = {node for node, since in self._missing_since.items() if now - since >= _QUARANTINE}
        return {node for node in due if not await self._exists(node)}

    async def _exists(self, node: str) -> bool:
        try:
            await self._client.get(NODES, node)
        except ApiError as error:
            if error.is_not_found:
                return False
            raise
        return True

    async def _delete(self, pod: Object) -> None:
        """At once: no kubelet will ever confirm the end."""
        try:
            await self._client.delete(
                PODS, meta.name(pod), meta.namespace(pod), grace_period_seconds=0, uid=meta.uid(pod)
            )
        except ApiError as error:
            if not error.is_not_found:
                raise
