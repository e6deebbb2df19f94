"""Watches nodes, their Leases and pods; marks silent nodes, taints them, evicts their pods.

A pass over all nodes every --node-monitor-period; evictions that are not due yet wait for a later
pass, so that nothing but what is stored in the API decides about them after a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from apiserver.api import meta
from apiserver.api.conditions import get_condition
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_ready
from components.client.activity import observed
from components.client.errors import ApiError
from components.client.resources import LEASES, NODES, PODS
from components.controllers.common.context import BY_NODE, ControllerContext
from components.controllers.common.objects import spec, status
from components.controllers.nodelifecycle.plan import (
    Seen,
    Zone,
    all_zones_down,
    evict_at,
    eviction_rate,
    is_silent,
    needs_eviction_taint,
    observe,
    ready_status,
    taints,
    unknown_conditions,
    zone_of,
    zone_states,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

LEASE_NAMESPACE = "kube-node-lease"


class NodeLifecycleController:
    name = "node-lifecycle-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder("node-controller")
        self._nodes = context.informers.informer(NODES)
        self._leases = context.informers.informer(LEASES, namespace=LEASE_NAMESPACE)
        self._pods = context.pods()
        self._seen: dict[str, Seen] = {}
        self._next_taint: dict[str, datetime] = {}
        self._changed = asyncio.Event()
        self._nodes.add_handler(self._node_added, self._node_updated, lambda _: self._changed.set())

    async def run(self) -> None:
        while True:
            self._changed.clear()
            await self.monitor()
            try:
                async with asyncio.timeout(self._context.options.node_monitor_period):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _node_added(self, node: Object) -> None:
        self._changed.set()

    def _node_updated(self, old: Object, node: Object) -> None:
        """A change of health or of scheduling is acted on at once, a heartbeat is not."""
        if _state(old) != _state(node):
            self._changed.set()

    async def monitor(self) -> None:
        """Health of all nodes first: whether one may be emptied depends on how the others are."""
        nodes = self._nodes.store.list()
        names = {meta.name(node) for node in nodes}
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        nodes = [await self._guarded(self._check_health, node) or node for node in nodes]
        states = zone_states(nodes, self._context.options.unhealthy_zone_threshold)
        sizes = Counter(zone_of(node) for node in nodes)
        for node in nodes:
            await self._guarded(partial(self._act, states=states, sizes=sizes), node)

    async def _guarded(self, step: Callable[[Object], Awaitable[T]], node: Object) -> T | None:
        try:
            with observed(self.name, meta.name(node)):
                return await step(node)
        except ApiError as error:
            logger.info("%s: node %s will be looked at again: %s", self.name, meta.name(node), error)
            return None

    async def _check_health(self, node: Object) -> Object:
        name, now = meta.name(node), self._context.now()
        if name not in self._seen:
            text = f"Node {name} event: Registered Node {name} in Controller"
            self._node_event(node, "Normal", "RegisteredNode", text)
        lease = self._leases.store.get(f"{LEASE_NAMESPACE}/{name}")
        seen = self._seen[name] = observe(node, lease, self._seen.get(name), now)
        options = self._context.options
        grace, startup = options.node_monitor_grace_period, options.node_startup_grace_period
        if is_silent(node, seen, now, grace, startup):
            return await self._mark_unknown(node, now)
        return node

    async def _act(self, node: Object, *, states: dict[str, Zone], sizes: Counter[str]) -> None:
        now = self._context.now()
        node = await self._taint(node, states, sizes, now)
        if ready_status(node) != "True" and get_condition(node, "Ready") is not None:
            await self._mark_pods_not_ready(meta.name(node), now)
        await self._evict(node, now)

    async def _mark_unknown(self, node: Object, now: datetime) -> Object:
        conditions = unknown_conditions(node, now)
        if conditions is None:
            return node
        was_ready = ready_status(node) == "True"
        updated = {
            **node,
            "apiVersion": "v1",
            "kind": "Node",
            "status": {**status(node), "conditions": conditions},
        }
        result = await self._client.update(NODES, updated, subresource="status")
        if was_ready:
            text = f"Node {meta.name(node)} status is now: NodeNotReady"
            self._node_event(node, "Normal", "NodeNotReady", text)
        return result

    async def _taint(
        self, node: Object, states: dict[str, Zone], sizes: Counter[str], now: datetime
    ) -> Object:
        may_evict = needs_eviction_taint(node) and self._take_turn(zone_of(node), states, sizes, now)
        wanted = taints(node, now, may_evict=may_evict, all_down=all_zones_down(states))
        if wanted is None:
            return node
        version = meta.resource_version(node)
        patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": wanted or None}}
        return await self._client.patch(NODES, meta.name(node), patch)

    def _take_turn(self, zone: str, states: dict[str, Zone], sizes: Counter[str], now: datetime) -> bool:
        """Whether this zone may lose another node now."""
        options = self._context.options
        rate = eviction_rate(
            zone,
            states,
            sizes[zone],
            options.node_eviction_rate,
            options.secondary_node_eviction_rate,
            options.large_cluster_size_threshold,
        )
        due = self._next_taint.get(zone)
        if rate <= 0 or (due is not None and now < due):
            return False
        self._next_taint[zone] = now + timedelta(seconds=1 / rate)
        return True

    async def _mark_pods_not_ready(self, node_name: str, now: datetime) -> None:
        """Services must stop sending to them; their kubelet cannot say so."""
        for pod in self._pods.store.by_index(BY_NODE, node_name):
            if not is_pod_ready(pod):
                continue
            conditions = [dict(c) for c in status(pod)["conditions"]]
            for condition in conditions:
                if condition["type"] == "Ready":
                    condition.update(status="False", lastTransitionTime=meta.format_time(now))
            version = meta.resource_version(pod)
            patch = {"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}}
            try:
                await self._client.patch(
                    PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status"
                )
            except ApiError as error:
                if not error.is_not_found:
                    raise
                continue
            self._recorder.event(_pod(pod), "Warning", "NodeNotReady", "Node is not ready")

    async def _evict(self, node: Object, now: datetime) -> None:
        node_taints = spec(node).get("taints") or []
        if not any(taint.get("effect") == "NoExecute" for taint in node_taints):
            return
        for pod in self._pods.store.by_index(BY_NODE, meta.name(node)):
            due = None if meta.is_deleting(pod) else evict_at(pod, node_taints, now)
            if due is not None and due <= now:
                await self._evict_pod(pod)

    async def _evict_pod(self, pod: Object) -> None:
        text = f"Marking for deletion Pod {meta.object_key(pod)}"
        self._recorder.event(_pod(pod), "Normal", "TaintManagerEviction", text)
        try:
            await self._client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        except ApiError as error:
            if not error.is_not_found:
                raise

    def _node_event(self, node: Object, kind: str, reason: str, text: str) -> None:
        self._recorder.event({**node, "apiVersion": "v1", "kind": "Node"}, kind, reason, text)


def _state(node: Object) -> object:
    conditions = {(c.get("type"), c.get("status")) for c in status(node).get("conditions") or ()}
    return conditions, spec(node).get("taints"), spec(node).get("unschedulable")


def _pod(pod: Object) -> Object:
    return {**pod, "apiVersion": "v1", "kind": "Pod"}
