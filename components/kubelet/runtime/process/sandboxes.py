"""The sandboxes of one node: started, found again after a restart of the kubelet, stopped, their addresses kept.

Used by `runtime.process.runtime`, which adds what is done with containers. A sandbox is a shim process with an
address; its directory is described in `records`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from components.kubelet.runtime.interface import (
    ExecTimeout,
    NotFound,
    SandboxConfig,
    SandboxFault,
    SandboxStatus,
)
from components.kubelet.runtime.process import records, shims
from components.kubelet.runtime.process.ipam import AddressPool, Exhausted
from components.kubelet.runtime.process.records import ContainerRecord, SandboxRecord, ShimStatus
from components.kubelet.runtime.process.state import Container, Sandbox

log = logging.getLogger(__name__)

_KILLED = 128 + signal.SIGKILL


class Sandboxes:
    """`changed(uid)` is called when something of that pod changed by itself."""

    def __init__(
        self,
        root: Path,
        pool: AddressPool,
        node_ip: str,
        now: Callable[[], float],
        new_id: Callable[[], str],
        changed: Callable[[str], None],
    ) -> None:
        self._root, self._pool, self._node_ip = root, pool, node_ip
        self._now, self._new_id, self._changed = now, new_id, changed
        self.by_id: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}

    async def adopt_all(self) -> None:
        """Take up again every sandbox left on disk."""
        for directory in sorted((self._root / "sandboxes").iterdir()):
            await self.adopt(directory)

    async def let_go(self) -> None:
        """Close the connections to the shims; the containers keep running."""
        for sandbox in self.by_id.values():
            client, sandbox.client = sandbox.client, None
            if client is not None:
                await client.close()

    async def adopt(self, directory: Path) -> None:
        record = records.read(directory / "sandbox.json", SandboxRecord)
        if record is None:  # the kubelet died before the sandbox was complete
            await self._abandon(directory)
            return
        sandbox = Sandbox(record, directory)
        self.by_id[record.id] = sandbox
        for path in sorted((directory / "containers").iterdir()):
            known = records.read(path / "container.json", ContainerRecord)
            if known is not None:
                self.containers[known.id] = sandbox.containers[known.id] = Container(known, sandbox)
        if record.stopped:
            self._read_statuses(sandbox)
            return
        if record.ip and not record.config.host_network:
            self._pool.claim(record.ip)
        if shims.is_alive(record.shim_pid, record.shim_ticks):
            await self._connect(sandbox)
        if sandbox.client is None:
            self._mark_lost(sandbox)

    async def _connect(self, sandbox: Sandbox) -> None:
        def exited(data: dict[str, object]) -> None:
            self._exited(sandbox, records.shim_status(data))

        client = shims.ShimClient(sandbox.directory, exited, lambda: self._shim_gone(sandbox))
        try:
            await client.connect()
            listed = await client.request("list")
        except (OSError, shims.ShimGone) as error:
            log.warning("sandbox %s does not answer: %s", sandbox.record.id, error)
            return
        sandbox.client = client
        self._read_statuses(sandbox)
        for data in listed:
            container = sandbox.containers.get(data["id"])
            if container is not None:
                container.apply(records.shim_status(data))

    def _read_statuses(self, sandbox: Sandbox) -> None:
        for container in sandbox.containers.values():
            status = records.read(container.directory / "status.json", ShimStatus)
            if status is not None:
                container.apply(status)

    def _mark_lost(self, sandbox: Sandbox) -> None:
        """The shim is gone, and the kernel ended its containers with it."""
        self._read_statuses(sandbox)
        for container in sandbox.containers.values():
            status = container.status
            if status is not None and status.state == "RUNNING":
                lost = ShimStatus(
                    id=status.id,
                    state="EXITED",
                    started_at=status.started_at,
                    finished_at=self._now(),
                    exit_code=_KILLED,
                    reason="Error",
                    message="the sandbox process of the pod ended",
                )
                records.write(container.directory / "status.json", lost)
                container.apply(lost)

    def _shim_gone(self, sandbox: Sandbox) -> None:
        if sandbox.client is None:
            return
        sandbox.client = None
        self._mark_lost(sandbox)
        self._changed(sandbox.record.config.uid)

    def _exited(self, sandbox: Sandbox, status: ShimStatus) -> None:
        container = sandbox.containers.get(status.id)
        if container is not None:
            container.apply(status)
            self._changed(sandbox.record.config.uid)

    async def run(self, config: SandboxConfig) -> str:
        sandbox_id = self._new_id()
        directory = self._root / "sandboxes" / sandbox_id
        ip = self._take_address(config)
        record = SandboxRecord(sandbox_id, config, ip, self._now())
        sandbox = Sandbox(record, directory)
        try:
            (directory / "containers").mkdir(parents=True, mode=0o700)
            record.shim_pid, record.shim_ticks = await shims.start_shim(directory)
            records.write(directory / "sandbox.json", record)
            await self._connect(sandbox)
        except (OSError, SandboxFault) as error:
            await self._abandon(directory, record)
            raise SandboxFault(str(error)) from error
        except asyncio.CancelledError:
            await asyncio.shield(self._abandon(directory, record))
            raise
        self.by_id[sandbox_id] = sandbox
        return sandbox_id

    async def _abandon(self, directory: Path, record: SandboxRecord | None = None) -> None:
        """Leave nothing of a sandbox that was never complete; its shim may run already."""
        await shims.end_shim(directory)
        if record is not None:
            self._give_back(record)
        records.remove_tree(directory)

    def _take_address(self, config: SandboxConfig) -> str:
        if config.host_network:
            return self._node_ip
        try:
            return self._pool.allocate()
        except Exhausted as error:
            raise SandboxFault(f"failed to set up pod network: {error}") from error

    def _give_back(self, record: SandboxRecord) -> None:
        if not record.config.host_network:
            self._pool.release(record.ip)

    async def stop(self, sandbox_id: str) -> None:
        """End whatever still runs in it at once and give its address back."""
        sandbox = self.get(sandbox_id)
        if sandbox.record.stopped:
            return
        client = sandbox.client
        if client is not None:
            await self._shut_down(sandbox, client)
        if shims.is_alive(sandbox.record.shim_pid, sandbox.record.shim_ticks):
            with contextlib.suppress(ProcessLookupError):
                os.kill(sandbox.record.shim_pid, signal.SIGKILL)  # its containers end with it
        self._mark_lost(sandbox)
        sandbox.record.stopped = True
        records.write(sandbox.directory / "sandbox.json", sandbox.record)
        self._give_back(sandbox.record)

    async def _shut_down(self, sandbox: Sandbox, client: shims.ShimClient) -> None:
        try:
            for container in sandbox.containers.values():
                if container.status is not None and container.status.state == "RUNNING":
                    await self.kill(container)
            sandbox.client = None
            with contextlib.suppress(shims.ShimGone, ExecTimeout):
                await client.request("shutdown", 5.0)
        finally:
            sandbox.client = None
            await client.close()

    async def remove(self, sandbox_id: str) -> None:
        sandbox = self.get(sandbox_id)
        await self.stop(sandbox_id)
        for container_id in list(sandbox.containers):
            self.containers.pop(container_id, None)
        del self.by_id[sandbox_id]
        await asyncio.to_thread(records.remove_tree, sandbox.directory)

    def statuses(self) -> list[SandboxStatus]:
        return [self._sandbox_status(sandbox) for sandbox in self.by_id.values()]

    def _sandbox_status(self, sandbox: Sandbox) -> SandboxStatus:
        record = sandbox.record
        return SandboxStatus(
            id=record.id,
            config=record.config,
            state="READY" if sandbox.ready else "NOTREADY",
            created_at=record.created_at,
            ips=(record.ip,) if record.ip else (),
        )

    def get(self, sandbox_id: str) -> Sandbox:
        try:
            return self.by_id[sandbox_id]
        except KeyError:
            raise NotFound(f"sandbox {sandbox_id} not found") from None

    async def kill(self, container: Container) -> None:
        client = container.sandbox.client
        if client is None:
            return
        with contextlib.suppress(shims.ShimGone):
            await client.request("kill", container=container.record.id, signal=int(signal.SIGKILL))
            async with asyncio.timeout(30.0):
                await container.exited.wait()
