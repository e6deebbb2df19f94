"""An application on the cluster that is hurt: two pods behind a Service, asked again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from components.client.errors import ApiError
from components.client.resources import DEPLOYMENTS, PODS, SERVICES
from components.client.transport import ApiClient
from components.cluster.errors import ClusterError
from components.cluster.tour import manifests
from components.cluster.tour.traffic import ask
from components.drills.observed import Request

REPLICAS = 2
PAUSE = 0.03
PATIENCE = 60.0
NAME = "web"


class Service:
    """The application in `namespace`. `told` gets every request with its time of the clock `time.monotonic`."""

    def __init__(self, client: ApiClient, namespace: str, told: Callable[[Request], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._told = told
        self._address = ("", 0)

    async def create(self) -> None:
        """Returns when both pods are ready and the address answers. Raises ClusterError."""
        deployment = placed(manifests.deployment("kuberaft/echo:v1", REPLICAS), self._namespace)
        await self._client.create(DEPLOYMENTS, deployment)
        found = await self._client.create(SERVICES, placed(manifests.service(), self._namespace))
        self._address = found["spec"]["clusterIP"], manifests.PORT
        deadline = time.monotonic() + PATIENCE
        while not await self._answers():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the drill's application did not answer within {PATIENCE:.0f} s",
                    f"look at it: kubectl -n {self._namespace} get pods,events",
                )
            await asyncio.sleep(0.1)

    async def _answers(self) -> bool:
        pods = await self.pods()
        if len(pods) != REPLICAS or not all(map(is_ready, pods)):
            return False
        return not (await self._request()).error

    async def pods(self) -> list[dict[str, Any]]:
        """The application's pods that are not on their way out."""
        found = await self._client.list(PODS, self._namespace, label_selector="app=web")
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    async def restarts(self) -> dict[str, int]:
        """uid -> restarts of every pod there is; asks again while the API server does not answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return {pod["metadata"]["uid"]: restarts(pod) for pod in await self.pods()}
            except ApiError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set."""
        while not stop.is_set():
            self._told(await self._request())
            await asyncio.sleep(PAUSE)

    async def _request(self) -> Request:
        began = time.monotonic()
        pod, error = "", ""
        try:
            pod = (await ask(*self._address))["pod"]
        except (OSError, TimeoutError, ValueError) as failure:
            error = str(failure) or type(failure).__name__
        now = time.monotonic()
        return Request(now, round(now - began, 4), pod, error)


def placed(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object in another namespace."""
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def restarts(pod: dict[str, Any]) -> int:
    return sum(status["restartCount"] for status in pod.get("status", {}).get("containerStatuses") or ())
