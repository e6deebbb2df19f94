"""What the benchmarks ask an API server, as bytes.

Pods name a scheduler that does not exist, so that only the API server works on them.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from benchmarks.http_load import Target

PODS: Final = "/api/v1/namespaces/default/pods"
CONFIG_MAPS: Final = "/api/v1/namespaces/default/configmaps"
ACCOUNT: Final = "/api/v1/namespaces/default/serviceaccounts/default"
RARE: Final = 100  # one pod of so many has the label app=rare


def pod(target: Target, number: int) -> bytes:
    """The request that creates it."""
    app = "bench" if number % RARE else "rare"
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": "default", "labels": {"app": app}},
        "spec": {"schedulerName": "none", "containers": [{"name": "c", "image": "kuberaft/pause"}]},
    }
    return target.request("POST", PODS, json.dumps(body).encode())


def config_map(target: Target, name: str) -> bytes:
    """The request that creates it."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": "0"}}
    return target.request("POST", CONFIG_MAPS, json.dumps(body).encode())


def watch(target: Target, version: str, name: str) -> bytes:
    """The request that watches one config map."""
    return target.request("GET", watch_path(version, name))


def watch_path(version: str, name: str) -> str:
    """Of one config map."""
    return f"{CONFIG_MAPS}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"


async def account(target: Target) -> None:
    """Waits for the service account that every pod needs."""
    connection = await target.open()
    async with asyncio.timeout(30):
        while await connection.status(target.request("GET", ACCOUNT)) != 200:  # noqa: ASYNC110  # made by a controller
            await asyncio.sleep(0.1)
    connection.close()
