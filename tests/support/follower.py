"""An informer in a thread of its own, so that a test can stop and restore clusters under it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from apiserver.api.gvk import GroupVersionResource
from components.client.informer import Informer
from components.client.transport import ApiClient


class Follower:
    """Follows one resource of the namespace `default` until `close`; counts how often it was synced anew."""

    def __init__(self, kubeconfig: Path, gvr: GroupVersionResource) -> None:
        self._kubeconfig, self._gvr = kubeconfig, gvr
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        if not self._opened.wait(10.0):
            raise AssertionError("the informer did not start")

    async def _run(self) -> None:
        client = ApiClient.from_kubeconfig(self._kubeconfig, user_agent="kuberaft-test")
        self._informer = Informer(client, self._gvr, namespace="default")
        self._task = asyncio.ensure_future(self._informer.run())
        self._opened.set()
        await asyncio.gather(self._task, return_exceptions=True)
        await client.close()

    def content(self) -> dict[str, str]:
        """Name to resourceVersion of what the informer holds now."""
        objects = self._informer.store.list()
        return {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in objects}

    @property
    def last_version(self) -> int:
        return int(self._informer.last_version or 0)

    @property
    def running(self) -> bool:
        return not self._task.done()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10.0)
        self._loop.close()
