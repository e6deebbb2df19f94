"""Clients that watch while masters come and go; each keeps what it was told, in order.

The same namespace is watched by our own reflectors (all on one event loop) and by the Python SDK (one thread each).
"""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from typing import Any

from components.client.kubeconfig import load
from components.client.reflector import Reflector, Scope
from components.client.resources import CONFIG_MAPS
from components.client.transport import ApiClient, WatchEvent
from tests.robustness.rolling.history import MARK, NAMESPACE, Seen


class Informer:
    """A reflector of ours, on a connection of its own."""

    def __init__(self, kubeconfig: Path, number: int) -> None:
        self.seen = Seen(f"informer {number}")
        self._client = ApiClient(load(kubeconfig), user_agent=f"informer-{number}")
        scope = Scope(CONFIG_MAPS, NAMESPACE)
        self._reflector = Reflector(self._client, scope, self, random.Random(number))
        self._task = asyncio.create_task(self._reflector.run())

    def replace(self, items: list[dict[str, Any]]) -> None:
        self.seen.listed()

    def changed(self, event: WatchEvent) -> None:
        self.seen.event(event.object)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()


class SdkWatch(threading.Thread):
    """``kubernetes.watch`` as its users write it: list once, then stream on. Ends with the last write."""

    def __init__(self, kubeconfig: Path, number: int) -> None:
        super().__init__(name=f"sdk watch {number}", daemon=True)
        self.seen = Seen(self.name)
        self._kubeconfig = str(kubeconfig)

    def run(self) -> None:
        from kubernetes import client, config, watch

        api = client.CoreV1Api(config.new_client_from_config(self._kubeconfig))
        version = api.list_namespaced_config_map(NAMESPACE).metadata.resource_version
        self.seen.listed()
        while self.seen.last != MARK:
            stream = watch.Watch()
            try:
                options = {"resource_version": version, "timeout_seconds": 60}
                for event in stream.stream(api.list_namespaced_config_map, NAMESPACE, **options):
                    self.seen.event(event["raw_object"])
                    version = event["raw_object"]["metadata"]["resourceVersion"]
                    if self.seen.last == MARK:
                        break
            except Exception as error:
                self.seen.failures.append(repr(error))
                return
