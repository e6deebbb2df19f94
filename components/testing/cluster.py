"""One running cluster of a test session, and the way back to its baseline.

    start ──▶ keep (the baseline) ──▶ a test ──▶ reset ──▶ a test ──▶ ... ──▶ stop

A reset brings processes back that a test has killed or paused, then the store (`components.cluster.baseline`), by one
request to a master's admin socket. It asks nobody's leave: finalizers, webhooks and faults do not stand in its way.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from apiserver.api.meta import Object
from components.client import kubeconfig
from components.client.kubeconfig import ClientConfig
from components.client.transport import ApiClient
from components.cluster import ipc, pki, topology_file
from components.cluster.errors import ClusterError
from components.cluster.faults import Faults, servers_of
from components.cluster.layout import Layout
from components.cluster.pki import Identity
from components.testing.discovery import Discovery
from components.testing.objects import Objects
from components.testing.portal import Portal
from components.testing.process import Process
from components.testing.spec import ClusterSpec

OWN_USER = "kuberaft-testing"
"""Whom the plugin's own requests come from, so that faults for a test's clients need not meet them."""
RESET_SECONDS = 60.0
_BACK_SECONDS = 30.0
_LOOK_SECONDS = 0.02

T = TypeVar("T")


class Cluster:
    """Made by `pool`. Attributes are set once it has started."""

    def __init__(self, directory: Path, spec: ClusterSpec) -> None:
        self.spec = spec
        self.layout = Layout.at(directory)
        self.portal = Portal()
        self._process: Process | None = None
        self._open: list[ApiClient | Faults] = []
        self._baseline = directory.with_suffix(".baseline")

    def start(self) -> None:
        """Raises ClusterError with the cluster's own error and the end of its log."""
        base = topology_file.load(Path(self.spec.topology)) if self.spec.topology else None
        file = self.layout.root.with_suffix(".yaml")
        file.write_text(topology_file.dump(self.spec.over(base)))
        self._process = Process.start(self.layout.root, file, self.layout.root.with_suffix(".log"))
        own = self._own_identity()
        self.client = ApiClient(own, user_agent=OWN_USER)
        self.discovery = Discovery(self.client)
        self._faults = Faults([dataclasses.replace(own, server=s.server) for s in servers_of(self.layout)])
        self._open = [self.client, self._faults]
        self.keep()

    def stop(self) -> None:
        while self._open:
            self.portal.call(self._open.pop().close())
        self.portal.close()
        if self._process is not None:
            self._process.stop()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def kubeconfig(self) -> Path:
        """As `system:masters`, through the failover endpoint."""
        return self.layout.kubeconfig

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the thread of the cluster's own client."""
        return self.portal.call(work)

    # ---- the baseline

    def keep(self) -> None:
        """What is there now survives every reset: for what a whole session needs."""
        self.ask("mark", timeout=RESET_SECONDS, file=str(self._baseline))

    def reset(self) -> int:
        """How many objects were put back or deleted. Raises ClusterError."""
        return self.run(self._reset())

    async def _reset(self) -> int:
        await self._bring_back()
        changed: int = await self._ask("reset", timeout=RESET_SECONDS, file=str(self._baseline))
        return changed

    async def _bring_back(self) -> None:
        asked = False
        deadline = asyncio.get_running_loop().time() + _BACK_SECONDS
        while not (status := await self._ask("status"))["ready"]:
            if asyncio.get_running_loop().time() > deadline:
                raise ClusterError(f"processes do not come back: {_states(status)}", "look at their logs")
            if not asked:
                await self._wake(status["processes"])
                asked = True
            await asyncio.sleep(_LOOK_SECONDS)

    async def _wake(self, processes: list[dict[str, Any]]) -> None:
        for process in processes:
            if process["state"] == "stopped":
                await self._ask("start", timeout=_BACK_SECONDS, name=process["name"])
            elif process["state"] != "ready":
                await self._ask("kill", name=process["name"], signal=signal.SIGCONT.value)

    def apply(self, obj: Object) -> Object:
        """For a whole session; `keep` it. In the namespace ``default`` unless it names one."""
        return self.run(Objects(self.client, self.discovery, "default").apply(obj))

    # ---- its processes

    def status(self) -> dict[str, Any]:
        """As `kuberaft status -o json`."""
        found: dict[str, Any] = self.ask("status")
        return found

    def kill(self, name: str, number: int = signal.SIGKILL) -> str:
        """Send a signal to ``m1``, ``w1`` or ``leader``; which process that was. A reset brings it back."""
        found: str = self.ask("kill", name=name, signal=int(number))
        return found

    def start_process(self, name: str) -> None:
        self.ask("start", timeout=_BACK_SECONDS, name=name)

    def ask(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
        """One request to the supervisor. Raises ClusterError."""
        return self.run(self._ask(op, timeout=timeout, **arguments))

    async def _ask(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
        return await ipc.call(self.layout.socket, op, timeout=timeout, **arguments)

    # ---- faults

    def add_fault(self, fault: Object) -> Object:
        return self.run(self._faults.add(fault))

    def faults(self) -> list[Object]:
        return self.run(self._faults.listed())

    def clear_faults(self) -> None:
        self.run(self._faults.clear())

    def _own_identity(self) -> ClientConfig:
        identity = Identity("cluster/testing", OWN_USER, "system:masters")
        pki.ensure(self.layout.pki, [identity])
        files = self.layout.pki / "cluster"
        certificate, key = (files / f"testing.{end}" for end in ("crt", "key"))
        admin = kubeconfig.load(self.kubeconfig)
        return dataclasses.replace(admin, client_cert=certificate.read_bytes(), client_key=key.read_bytes())


def _states(status: dict[str, Any]) -> str:
    return ", ".join(f"{p['name']} is {p['state']}" for p in status["processes"] if p["state"] != "ready")
