"""Keeps this node's Node object and Lease: registers at once, then heartbeats.

Started by `kubelet.Kubelet`. The Lease is renewed every quarter of its duration; the status is sent when
it changed, and at least every `node_status_update_frequency`. As kubelet_node_status.go and the
nodelease controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from apiserver.api.meta import format_micro_time, format_time
from components.client.errors import ApiError
from components.client.resources import LEASES, NODES
from components.client.transport import MERGE_PATCH, ApiClient
from components.kubelet.config import KubeletConfig
from components.kubelet.node.machine import read_machine
from components.kubelet.node.status import labels, new_node, node_status
from components.kubelet.runtime.interface import Runtime

log = logging.getLogger(__name__)
Object = dict[str, Any]
_FIRST_RETRY, _MAX_RETRY = 0.2, 7.0
_LEASE_NAMESPACE = "kube-node-lease"


class NodeAgent:
    """`problem`: why the runtime is not ready, empty when it is."""

    def __init__(
        self, config: KubeletConfig, client: ApiClient, runtime: Runtime, now: Callable[[], datetime]
    ) -> None:
        self._config, self._client, self._runtime, self._now = config, client, runtime, now
        self.problem = ""
        self.node: Object = {}

    async def register(self) -> None:
        """Until the Node exists with this kubelet's status: Ready from the first moment."""
        delay = _FIRST_RETRY
        while True:
            try:
                await self._register_once()
            except ApiError as error:
                log.info("registering node %s: %s", self._config.node_name, error)
            else:
                log.info("node %s registered", self._config.node_name)
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, _MAX_RETRY)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.send_status, self._config.node_status_update_frequency))
            group.create_task(self._repeat(self.renew_lease, self._config.node_lease_duration / 4))

    async def _repeat(self, action: Callable[[], Any], interval: float) -> None:
        while True:
            try:
                await action()
                delay = interval
            except ApiError as error:
                log.warning("node %s: %s", self._config.node_name, error)
                delay = min(interval, 1.0)
            await asyncio.sleep(delay)

    async def _register_once(self) -> None:
        status = self._status([])
        node = new_node(self._config, read_machine(self._config.root_dir), status)
        try:
            self.node = await self._client.create(NODES, node)
        except ApiError as error:
            if not error.is_already_exists:
                raise
            self.node = await self._client.get(NODES, self._config.node_name)
            await self._reconcile()
            await self.send_status()

    async def _reconcile(self) -> None:
        """A node of this name is there already (a restart): its labels and pod range must be ours."""
        machine = read_machine(self._config.root_dir)
        patch: Object = {"metadata": {"labels": labels(self._config, machine)}}
        if not self.node.get("spec", {}).get("podCIDR"):
            patch["spec"] = {"podCIDR": self._config.pod_cidr, "podCIDRs": [self._config.pod_cidr]}
        self.node = await self._client.patch(NODES, self._config.node_name, patch, content_type=MERGE_PATCH)

    def _status(self, old: list[Object]) -> Object:
        return node_status(
            self._config,
            read_machine(self._config.root_dir),
            runtime=f"{self._runtime.name}://{self._runtime.version}",
            runtime_problem=self.problem,
            images=self._runtime.list_images(),
            old_conditions=old,
            now=format_time(self._now()),
        )

    async def send_status(self) -> None:
        """Our conditions are replaced, those that others set are kept."""
        try:
            self.node = await self._client.get(NODES, self._config.node_name)
        except ApiError as error:
            if not error.is_not_found:
                raise
            await self._register_once()
            return
        old = self.node.get("status", {}).get("conditions") or []
        status = self._status(old)
        ours = {condition["type"] for condition in status["conditions"]}
        status["conditions"] += [condition for condition in old if condition["type"] not in ours]
        patch = {"status": status}
        self.node = await self._client.patch(
            NODES, self._config.node_name, patch, subresource="status", content_type=MERGE_PATCH
        )

    async def renew_lease(self) -> None:
        name, stamp = self._config.node_name, format_micro_time(self._now())
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": int(self._config.node_lease_duration),
            "renewTime": stamp,
        }
        try:
            await self._client.patch(LEASES, name, {"spec": spec}, _LEASE_NAMESPACE, content_type=MERGE_PATCH)
        except ApiError as error:
            if not error.is_not_found:
                raise
            await self._create_lease(name, spec)

    async def _create_lease(self, name: str, spec: Object) -> None:
        metadata: Object = {"name": name, "namespace": _LEASE_NAMESPACE}
        uid = self.node.get("metadata", {}).get("uid")
        if uid:
            metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        await self._client.create(LEASES, lease, namespace=_LEASE_NAMESPACE)
