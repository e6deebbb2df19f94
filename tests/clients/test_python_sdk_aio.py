"""The asyncio half of the official Python SDK, unmodified."""

from __future__ import annotations

import asyncio

import pytest
from kubernetes.aio import client, config, watch
from kubernetes.aio.client.exceptions import ApiException

from tests.clients.here import Here

SECONDS = 20


def config_map(name: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"aio": "yes"}), data={"a": "1"})


async def _everything(api: Here) -> None:
    async with await config.new_client_from_config(str(api.kubeconfig)) as sdk:
        core = client.CoreV1Api(sdk)
        made = await core.create_namespaced_config_map("default", config_map("one"))
        patched = await core.patch_namespaced_config_map("one", "default", {"data": {"b": "2"}})
        assert patched.data == {"a": "1", "b": "2"}
        with pytest.raises(ApiException) as refused:
            await core.replace_namespaced_config_map("one", "default", made)
        assert refused.value.status == 409
        found = await core.list_namespaced_config_map("default", label_selector="aio=yes")
        assert [o.metadata.name for o in found.items] == ["one"]
        await core.delete_namespaced_config_map("one", "default")
        since = made.metadata.resource_version
        async with watch.Watch().stream(
            core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=SECONDS
        ) as events:
            assert [(await anext(events))["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
        # Twenty at once over one client.
        names = [f"many-{number}" for number in range(20)]
        await asyncio.gather(
            *(core.create_namespaced_config_map("default", config_map(name)) for name in names)
        )
        await core.delete_collection_namespaced_config_map("default", label_selector="aio=yes")
        assert (await core.list_namespaced_config_map("default")).items == []


def test_everything(api: Here) -> None:
    asyncio.run(asyncio.wait_for(_everything(api), SECONDS))
