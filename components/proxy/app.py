"""Runs a proxy: client, informers and events around the `Proxier`. Called by `__main__` and by a worker process."""

from __future__ import annotations

import asyncio

from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.kubeconfig import ClientConfig
from components.client.transport import ApiClient
from components.proxy.proxier import Proxier


async def run_proxy(client_config: ClientConfig, *, node_name: str, node_ip: str) -> None:
    """Until cancelled. `node_ip` is where this node's node ports listen."""
    client = ApiClient(client_config, user_agent="kube-proxy")
    informers = InformerFactory(client)
    recorder = EventRecorder(client, "kube-proxy", node_name)
    proxier = Proxier(informers, recorder, node_name=node_name, node_ip=node_ip)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(proxier.run(), name="proxier")
            group.create_task(informers.run(), name="proxy informers")
    finally:
        await recorder.close()
        await client.close()
