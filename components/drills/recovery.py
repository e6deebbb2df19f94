"""When everything is at work again: masters and nodes by the supervisor, controllers by what they do.

A Deployment is made, and has to get a running pod: the controllers, the scheduler and a kubelet had to act for it
after the last fault was undone. Used by `runner`, before the drill (is it steady?) and after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import grpc.aio

from components.client.errors import ApiError
from components.client.resources import DEPLOYMENTS
from components.client.transport import ApiClient
from components.cluster.errors import ClusterError
from components.cluster.status import ClusterStatus
from components.drills.site import Site
from kvstore.rpc.proto import rpc_pb2

PAUSE = 0.1
_numbers = itertools.count(1)


async def steady(site: Site, namespace: str) -> None:
    """Returns when everything is at work; the caller sets the time limit."""
    if site.layout is not None:
        await _processes(site)
    else:
        await _endpoints(site)
    if site.workers:
        await _controllers(site, namespace)


async def _processes(site: Site) -> None:
    while True:
        with contextlib.suppress(ClusterError, TimeoutError):
            if all_well(await site.status(), site):
                return
        await asyncio.sleep(PAUSE)


def all_well(status: ClusterStatus, site: Site) -> bool:
    """Every process ready, every node Ready, and a leader."""
    nodes = {node.name for node in status.nodes if node.ready == "True"}
    return status.ready and bool(status.leader) and nodes >= set(site.workers)


async def _endpoints(site: Site) -> None:
    """Every member of the store answers a linearizable read."""
    request = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0", limit=1)
    for endpoint in site.store:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await endpoint.unary("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse, 2.0)
                break
            await asyncio.sleep(PAUSE)


async def _controllers(site: Site, namespace: str) -> None:
    name = f"probe-{next(_numbers)}"
    async with site.client(timeout=3.0) as client:
        await _insist(client, "create", DEPLOYMENTS, _deployment(name, namespace))
        while True:
            with contextlib.suppress(ApiError):
                found = await client.get(DEPLOYMENTS, name, namespace)
                if found.get("status", {}).get("availableReplicas"):
                    break
            await asyncio.sleep(PAUSE)
        await _insist(client, "delete", DEPLOYMENTS, name, namespace)


async def _insist(client: ApiClient, verb: str, *arguments: Any) -> None:
    """Until it is done; that it was done already is as good."""
    while True:
        try:
            await getattr(client, verb)(*arguments)
            return
        except ApiError as error:
            if error.is_already_exists or (verb == "delete" and error.is_not_found):
                return
        await asyncio.sleep(PAUSE)


def _deployment(name: str, namespace: str) -> dict[str, Any]:
    container = {
        "name": "pause",
        "image": "kuberaft/pause",
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
    }
    labels = {"probe": name}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
    }
