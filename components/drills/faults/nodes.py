"""A node is emptied as `kubectl drain` does it: cordoned, then its pods evicted, as the disruption budget allows.

Only the drill's own pods are evicted, so that nobody else's cluster is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import Any, cast

from components.client.errors import ApiError
from components.client.resources import NODES, POD_DISRUPTION_BUDGETS, PODS
from components.client.transport import ApiClient
from components.cluster.errors import ClusterError
from components.cluster.quantities import seconds
from components.drills.faults.field import Field
from components.drills.schedule import Planned
from components.drills.spec import Drain

BUDGET = "web"
PAUSE = 0.2


async def drain(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(Drain, planned.step)
    node = await field.resolve(step.target)
    client = await undo.enter_async_context(field.site.client())
    undo.push_async_callback(_uncordon, client, node)
    await client.create(POD_DISRUPTION_BUDGETS, budget(field.crew.namespace))
    await client.patch(NODES, node, {"spec": {"unschedulable": True}})
    field.say(f"{node} is cordoned and its pods are evicted, one of two may be missing", planned.number)
    refused = await _empty(field, client, node, seconds(step.patience))
    field.say(f"{node} is empty; {refused} evictions were refused by the budget", planned.number)
    await asyncio.sleep(planned.length)


async def _empty(field: Field, client: ApiClient, node: str, patience: float) -> int:
    """Until no pod of the drill is left on the node; how many evictions were refused. Raises ClusterError."""
    refused = 0
    deadline = asyncio.get_running_loop().time() + patience
    while pods := await _pods(field, client, node):
        if asyncio.get_running_loop().time() > deadline:
            raise ClusterError(f"{node} is not empty after {patience:.0f} s", "kubectl get pdb,pods says why")
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                refused += not await _evict(client, pod)
        await asyncio.sleep(PAUSE)
    return refused


async def _pods(field: Field, client: ApiClient, node: str) -> list[dict[str, Any]]:
    found = await client.list(PODS, field.crew.namespace, field_selector=f"spec.nodeName={node}")
    return list(found["items"])


async def _evict(client: ApiClient, pod: dict[str, Any]) -> bool:
    """False when the disruption budget says not now (429)."""
    metadata = pod["metadata"]
    place = {"name": metadata["name"], "namespace": metadata["namespace"]}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": place}
    try:
        await client.create(PODS, body, name=metadata["name"], subresource="eviction")
    except ApiError as error:
        if error.is_too_many_requests:
            return False
        if not error.is_not_found:
            raise
    return True


async def _uncordon(client: ApiClient, node: str) -> None:
    with contextlib.suppress(ApiError):
        await client.patch(NODES, node, {"spec": {"unschedulable": None}})


def budget(namespace: str) -> dict[str, Any]:
    """One of the application's pods is always there."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": BUDGET, "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
