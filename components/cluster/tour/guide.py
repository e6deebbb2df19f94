"""What the chapters of the tour share: the client, the narration, waiting for what was promised."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from components.client.resources import PODS, SERVICES
from components.client.transport import ApiClient
from components.cluster import ipc
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.tour.manifests import NAMESPACE, PORT

T = TypeVar("T")
POLL = 0.1


class Guide:
    """Tells what happens and waits for it. A promise that is not kept ends the tour with a ClusterError.

    `owns_cluster`: it was started for the tour and may be stopped.
    """

    def __init__(
        self, client: ApiClient, layout: Layout, console: Console, *, owns_cluster: bool = False
    ) -> None:
        self.client = client
        self.layout = layout
        self.owns_cluster = owns_cluster
        self._console = console
        self._chapter = 0

    def chapter(self, title: str, text: str) -> None:
        """Open a chapter."""
        self._chapter += 1
        self._console.print(f"\n[bold]{self._chapter}. {title}[/bold]", highlight=False)
        self._console.print(
            textwrap.fill(" ".join(text.split()), self._console.width), highlight=False, markup=False
        )

    def command(self, line: str) -> None:
        """Show what to type for the same."""
        self._console.print(f"   $ {line}", style="cyan", highlight=False, markup=False)

    def result(self, text: str) -> None:
        """Show what came of it."""
        self._console.print(f"   {text}", style="green", highlight=False, markup=False)

    async def until(self, what: str, probe: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
        """The first truthy answer of `probe`. Raises ClusterError naming `what` when it takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await probe()
            if answer:
                return answer
            if time.monotonic() > deadline:
                remedy = (
                    f"look at it: kubectl --kubeconfig {self.layout.kubeconfig} -n {NAMESPACE} get all,events"
                )
                raise ClusterError(f"not within {seconds:.0f} s: {what}", remedy)
            await asyncio.sleep(POLL)

    async def pods(self) -> list[dict[str, Any]]:
        """The application's pods that are not on their way out."""
        answer = await self.client.list(PODS, NAMESPACE, label_selector="app=web")
        items: list[dict[str, Any]] = answer["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    async def ready_pods(
        self, count: int, seconds: float = 60.0, but_not_on: str = ""
    ) -> list[dict[str, Any]]:
        """Wait until exactly `count` pods are there and ready, none of them on node `but_not_on`."""

        async def probe() -> list[dict[str, Any]] | None:
            pods = [pod for pod in await self.pods() if pod["spec"].get("nodeName") != but_not_on]
            return pods if len(pods) == count and all(map(_is_ready, pods)) else None

        return await self.until(f"{count} ready pods", probe, seconds)

    async def service_address(self) -> tuple[str, int]:
        """Cluster IP and port of the application's service."""
        found = await self.client.get(SERVICES, "web", NAMESPACE)
        return found["spec"]["clusterIP"], PORT

    async def supervisor(self, op: str, **arguments: Any) -> Any:
        """One request to the supervisor, as `kuberaft kill` and the like make."""
        return await ipc.call(Path(self.layout.socket), op, timeout=60.0, **arguments)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def where(pods: list[dict[str, Any]]) -> str:
    """`web-1 on w1 (127.64.1.2), ...`."""
    return ", ".join(
        f"{p['metadata']['name']} on {p['spec']['nodeName']} ({p['status']['podIP']})" for p in pods
    )
