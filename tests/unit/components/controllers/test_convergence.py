"""The workload controllers on a fake API server in virtual time, also when killed and started again."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.client.resources import DEPLOYMENTS, ENDPOINT_SLICES, ENDPOINTS, PODS, REPLICA_SETS, SERVICES
from components.client.testing import FakeApi
from components.controllers.manager import ControllerManager
from components.controllers.options import ControllerOptions
from tests.support.virtual_time import run_virtual

NAMES = ("deployment-controller", "replicaset-controller", "endpointslice-controller", "endpoints-controller")
START = datetime(2026, 1, 1, tzinfo=UTC)


def clock() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def deployment(replicas: int, image: str, strategy: str = "RollingUpdate") -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            "strategy": {"type": strategy},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 2,
        },
    }


class Cluster:
    """Manager and a kubelet of sorts: pods become ready, and end, within a second."""

    def __init__(self) -> None:
        self.api = FakeApi(clock)
        self.minimum_ready = 10**6
        self.watching = False
        self._address = 0

    async def kubelet(self) -> None:
        while True:
            await asyncio.sleep(1)
            for pod in self.api.all(PODS):
                await self._step(pod)
            if self.watching:
                ready = sum(bool(pod["status"].get("podIP")) for pod in self.api.all(PODS))
                self.minimum_ready = min(self.minimum_ready, ready)

    async def _step(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            await self.api.delete(PODS, metadata["name"], "default", grace_period_seconds=0)
        elif not pod.get("status", {}).get("podIP"):
            self._address += 1
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            address = f"10.0.{self._address // 250}.{self._address % 250 + 1}"
            status = {"phase": "Running", "podIP": address}
            await self.api.patch(
                PODS,
                metadata["name"],
                {"status": {**status, "conditions": [ready]}},
                "default",
                subresource="status",
            )

    def manager(self) -> ControllerManager:
        options = ControllerOptions(controllers=NAMES)
        return ControllerManager(self.api, options, now=clock, rng=random.Random(1))  # type: ignore[arg-type]

    async def run(self, seconds: float) -> None:
        await self._run(self.manager(), seconds)

    async def _run(self, manager: ControllerManager, seconds: float) -> None:
        task = asyncio.ensure_future(manager.run())
        await asyncio.sleep(seconds)
        assert not task.done(), task
        task.cancel()
        await asyncio.wait({task})

    def images(self) -> list[str]:
        return sorted(pod["spec"]["containers"][0]["image"] for pod in self.api.all(PODS))

    def status(self) -> dict[str, Any]:
        found = self.api.peek(DEPLOYMENTS, "default/web")
        assert found is not None
        return found["status"]


async def set_image(cluster: Cluster, image: str) -> None:
    found = await cluster.api.get(DEPLOYMENTS, "web", "default")
    found["spec"]["template"]["spec"]["containers"][0]["image"] = image
    await cluster.api.update(DEPLOYMENTS, found)


def in_cluster(scenario: Any) -> None:
    async def main() -> None:
        cluster = Cluster()
        kubelet = asyncio.ensure_future(cluster.kubelet())
        try:
            await scenario(cluster)
        finally:
            kubelet.cancel()
            await asyncio.wait({kubelet})

    run_virtual(main())


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_a_deployment_is_created_and_rolled(strategy: str) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.api.create(DEPLOYMENTS, deployment(5, "a", strategy), namespace="default")
        await cluster.run(20)
        assert cluster.images() == ["a"] * 5
        assert cluster.status()["availableReplicas"] == 5
        cluster.watching = strategy == "RollingUpdate"
        await set_image(cluster, "b")
        await cluster.run(60)
        assert cluster.images() == ["b"] * 5
        conditions = {c["type"]: c for c in cluster.status()["conditions"]}
        assert conditions["Progressing"]["reason"] == "NewReplicaSetAvailable"
        assert conditions["Available"]["status"] == "True"
        revisions = [
            rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            for rs in cluster.api.all(REPLICA_SETS)
        ]
        assert sorted(revisions) == ["1", "2"]
        assert cluster.minimum_ready >= 4

    in_cluster(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_a_rollout_converges_however_often_the_manager_is_killed(seed: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        rng = random.Random(seed)
        await cluster.api.create(DEPLOYMENTS, deployment(7, "a"), namespace="default")
        for round_ in range(12):
            await cluster.run(rng.choice([0.0, 0.2, 1.0, 2.5]))
            if round_ % 4 == 3:
                await set_image(cluster, f"v{round_}")
        await cluster.run(120)
        assert cluster.images() == ["v11"] * 7
        assert cluster.status()["updatedReplicas"] == 7
        assert cluster.status()["replicas"] == 7

    in_cluster(scenario)


def test_a_service_gets_slices_and_endpoints() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.api.create(DEPLOYMENTS, deployment(3, "a"), namespace="default")
        ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "selector": {"app": "web"},
                "ports": ports,
                "clusterIP": "10.96.0.9",
                "ipFamilies": ["IPv4"],
            },
        }
        await cluster.api.create(SERVICES, service, namespace="default")
        await cluster.run(20)
        (endpoint_slice,) = cluster.api.all(ENDPOINT_SLICES)
        assert len(endpoint_slice["endpoints"]) == 3
        assert all(e["conditions"]["ready"] for e in endpoint_slice["endpoints"])
        assert endpoint_slice["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        (endpoints,) = cluster.api.all(ENDPOINTS)
        assert len(endpoints["subsets"][0]["addresses"]) == 3

    in_cluster(scenario)
