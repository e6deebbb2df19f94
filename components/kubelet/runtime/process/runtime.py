"""The process runtime: pods as plain processes of the user, in namespaces where the kernel grants them,
without root.

Implements `runtime.interface.Runtime`. A sandbox is a shim process plus an address from the node's pod
CIDR; a container is a session under the shim with its own file tree, PID namespace and working
directory. What is asked but cannot be given is refused with a `ConfigFault` that says why; nothing is
silently left out. Isolation is found out once by trying it: "full" (mount and PID namespaces), "mount"
(no PID namespace: /proc is masked here), "none".

Not isolated: network (a pod's address is a loopback address that programs must bind themselves: `POD_IP`)
and the host's files (visible, and writable as far as the user may write them). Memory limits are enforced
by the shim, which looks once a second; CPU limits, capabilities, seccomp and SELinux have no effect here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from components.kubelet.images.catalogue import Catalogue, Image
from components.kubelet.runtime.interface import (
    ConfigFault,
    ContainerConfig,
    ContainerStats,
    ContainerStatus,
    CreateFault,
    ExecResult,
    ExecTimeout,
    ImageFault,
    ImageInfo,
    NotFound,
    SandboxConfig,
    SandboxFault,
    SandboxStatus,
)
from components.kubelet.runtime.process import records, shims, spec
from components.kubelet.runtime.process.ipam import AddressPool, Exhausted
from components.kubelet.runtime.process.records import ContainerRecord, SandboxRecord, ShimStatus
from components.kubelet.runtime.process.usage import container_usage

log = logging.getLogger(__name__)

_KILLED = 128 + signal.SIGKILL


class _Sandbox:
    def __init__(self, record: SandboxRecord, directory: Path) -> None:
        self.record, self.directory = record, directory
        self.client: shims.ShimClient | None = None
        self.containers: dict[str, _Container] = {}

    @property
    def ready(self) -> bool:
        return self.client is not None and not self.record.stopped


class _Container:
    def __init__(self, record: ContainerRecord, sandbox: _Sandbox) -> None:
        self.record, self.sandbox = record, sandbox
        self.status: ShimStatus | None = None
        self.exited = asyncio.Event()

    def apply(self, status: ShimStatus) -> None:
        self.status = status
        if status.state == "EXITED":
            self.exited.set()

    @property
    def directory(self) -> Path:
        return self.sandbox.directory / "containers" / self.record.id


class ProcessRuntime:
    name = "kuberaft"
    version = "process-1"

    def __init__(
        self,
        root: Path,
        *,
        pod_cidr: str,
        node_ip: str,
        catalogue: Catalogue,
        isolation: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: secrets.token_hex(32),
    ) -> None:
        self._root = root
        self._node_ip = node_ip
        self._pool = AddressPool(pod_cidr)
        self._catalogue = catalogue
        self.isolation = isolation or ""
        self.isolation_problem = ""
        self._now, self._new_id = now, new_id
        self._sandboxes: dict[str, _Sandbox] = {}
        self._containers: dict[str, _Container] = {}
        self._changed: Callable[[str], None] = lambda uid: None

    # --- life of the runtime itself

    async def start(self) -> None:
        """Find out what this machine grants, then take up again every sandbox left on disk."""
        (self._root / "sandboxes").mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.isolation:
            await self._find_isolation()
        for directory in sorted((self._root / "sandboxes").iterdir()):
            await self._adopt(directory)

    async def close(self) -> None:
        """Let go of the shims; the containers keep running."""
        for sandbox in self._sandboxes.values():
            client, sandbox.client = sandbox.client, None
            if client is not None:
                await client.close()

    def can_mount(self) -> bool:
        """Whether volumes can appear at their mount paths on this machine."""
        return self.isolation != "none"

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._changed = callback

    async def _find_isolation(self) -> None:
        root = self._root / "probe"
        root.mkdir(exist_ok=True)
        for isolation in ("full", "mount"):
            problem = await shims.probe(root, spec.namespaces(isolation))
            if problem is None:
                self.isolation = isolation
                return
            self.isolation_problem = problem
        self.isolation = "none"
        log.warning("no namespaces on this machine (%s): pods run without volumes", self.isolation_problem)

    async def _adopt(self, directory: Path) -> None:
        record = records.read(directory / "sandbox.json", SandboxRecord)
        if record is None:  # the kubelet died before the sandbox was complete; nothing runs in it
            records.remove_tree(directory)
            return
        sandbox = _Sandbox(record, directory)
        self._sandboxes[record.id] = sandbox
        for path in sorted((directory / "containers").iterdir()):
            known = records.read(path / "container.json", ContainerRecord)
            if known is not None:
                self._containers[known.id] = sandbox.containers[known.id] = _Container(known, sandbox)
        if record.stopped:
            self._read_statuses(sandbox)
            return
        if record.ip and not record.config.host_network:
            self._pool.claim(record.ip)
        if shims.is_alive(record.shim_pid, record.shim_ticks):
            await self._connect(sandbox)
        if sandbox.client is None:
            self._mark_lost(sandbox)

    async def _connect(self, sandbox: _Sandbox) -> None:
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

    def _read_statuses(self, sandbox: _Sandbox) -> None:
        for container in sandbox.containers.values():
            status = records.read(container.directory / "status.json", ShimStatus)
            if status is not None:
                container.apply(status)

    def _mark_lost(self, sandbox: _Sandbox) -> None:
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

    def _shim_gone(self, sandbox: _Sandbox) -> None:
        if sandbox.client is None:
            return
        sandbox.client = None
        self._mark_lost(sandbox)
        self._changed(sandbox.record.config.uid)

    def _exited(self, sandbox: _Sandbox, status: ShimStatus) -> None:
        container = sandbox.containers.get(status.id)
        if container is not None:
            container.apply(status)
            self._changed(sandbox.record.config.uid)

    # --- sandboxes

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        sandbox_id = self._new_id()
        directory = self._root / "sandboxes" / sandbox_id
        ip = self._take_address(config)
        record = SandboxRecord(sandbox_id, config, ip, self._now())
        sandbox = _Sandbox(record, directory)
        try:
            (directory / "containers").mkdir(parents=True, mode=0o700)
            record.shim_pid, record.shim_ticks = await shims.start_shim(directory)
            records.write(directory / "sandbox.json", record)
            await self._connect(sandbox)
        except (OSError, SandboxFault) as error:
            self._give_back(record)
            records.remove_tree(directory)
            raise SandboxFault(str(error)) from error
        self._sandboxes[sandbox_id] = sandbox
        return sandbox_id

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

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """End whatever still runs in it at once and give its address back."""
        sandbox = self._sandbox(sandbox_id)
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

    async def _shut_down(self, sandbox: _Sandbox, client: shims.ShimClient) -> None:
        try:
            for container in sandbox.containers.values():
                if container.status is not None and container.status.state == "RUNNING":
                    await self._kill(container)
            sandbox.client = None
            with contextlib.suppress(shims.ShimGone, ExecTimeout):
                await client.request("shutdown", 5.0)
        finally:
            sandbox.client = None
            await client.close()

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandbox(sandbox_id)
        await self.stop_pod_sandbox(sandbox_id)
        for container_id in list(sandbox.containers):
            self._containers.pop(container_id, None)
        del self._sandboxes[sandbox_id]
        await asyncio.to_thread(records.remove_tree, sandbox.directory)

    def list_pod_sandboxes(self) -> list[SandboxStatus]:
        return [self._sandbox_status(sandbox) for sandbox in self._sandboxes.values()]

    def _sandbox_status(self, sandbox: _Sandbox) -> SandboxStatus:
        record = sandbox.record
        return SandboxStatus(
            id=record.id,
            config=record.config,
            state="READY" if sandbox.ready else "NOTREADY",
            created_at=record.created_at,
            ips=(record.ip,) if record.ip else (),
        )

    def _sandbox(self, sandbox_id: str) -> _Sandbox:
        try:
            return self._sandboxes[sandbox_id]
        except KeyError:
            raise NotFound(f"sandbox {sandbox_id} not found") from None

    # --- containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self._sandbox(sandbox_id)
        image = self._image(config.image)
        container_id = self._new_id()
        record = ContainerRecord(container_id, sandbox_id, config, image.digest, self._now())
        container = _Container(record, sandbox)
        problem = spec.refusal(config, self.isolation, self.isolation_problem)
        if problem:
            raise ConfigFault(problem)
        try:
            for part in ("root", "work"):
                (container.directory / part).mkdir(parents=True, mode=0o755)
            if config.run_as_user and os.geteuid() == 0:
                os.chown(container.directory / "work", config.run_as_user, config.run_as_group or 0)
            request = spec.build(record, image, self.isolation, container.directory, sandbox.record)
            records.write(container.directory / "spec.json", request)
            records.write(container.directory / "container.json", record)
        except OSError as error:
            records.remove_tree(container.directory)
            raise CreateFault(str(error)) from error
        self._containers[container_id] = sandbox.containers[container_id] = container
        return container_id

    async def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.sandbox.client is None:
            raise shims.ShimGone("the sandbox of the pod is not running")
        try:
            data = await container.sandbox.client.request("start", container=container_id)
        except Exception as error:
            failed = ShimStatus(
                id=container_id,
                state="EXITED",
                finished_at=self._now(),
                exit_code=128,
                reason="StartError",
                message=str(error),
            )
            records.write(container.directory / "status.json", failed)
            container.apply(failed)
            raise
        if container.status is None:
            container.apply(records.shim_status(data))

    async def stop_container(self, container_id: str, timeout: float) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds; returns when the container has ended."""
        container = self._container(container_id)
        client = container.sandbox.client
        if client is None or container.status is None or container.exited.is_set():
            return
        if timeout > 0:
            await client.request("kill", container=container_id, signal=int(signal.SIGTERM))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await container.exited.wait()
                    return
        await self._kill(container)

    async def _kill(self, container: _Container) -> None:
        client = container.sandbox.client
        if client is None:
            return
        with contextlib.suppress(shims.ShimGone):
            await client.request("kill", container=container.record.id, signal=int(signal.SIGKILL))
            async with asyncio.timeout(30.0):
                await container.exited.wait()

    async def remove_container(self, container_id: str) -> None:
        container = self._container(container_id)
        await self.stop_container(container_id, 0)
        if container.sandbox.client is not None:
            await container.sandbox.client.request("forget", container=container_id)
        del self._containers[container_id]
        del container.sandbox.containers[container_id]
        await asyncio.to_thread(records.remove_tree, container.directory)

    def list_containers(self, pod_uid: str | None = None) -> list[ContainerStatus]:
        return [
            self._container_status(container)
            for container in self._containers.values()
            if pod_uid is None or container.sandbox.record.config.uid == pod_uid
        ]

    def _container_status(self, container: _Container) -> ContainerStatus:
        record, status = container.record, container.status or ShimStatus(container.record.id, "CREATED")
        return ContainerStatus(
            id=record.id,
            sandbox_id=record.sandbox_id,
            name=record.config.name,
            attempt=record.config.attempt,
            state=status.state,
            image=record.config.image,
            image_ref=record.image_ref,
            log_path=record.config.log_path,
            created_at=record.created_at,
            started_at=status.started_at,
            finished_at=status.finished_at,
            exit_code=status.exit_code,
            reason=status.reason,
            message=status.message,
            pid=status.pid,
            annotations=record.config.annotations,
        )

    async def exec_sync(self, container_id: str, command: list[str], timeout: float) -> ExecResult:
        container = self._container(container_id)
        client = container.sandbox.client
        if client is None or container.exited.is_set():
            raise NotFound(f"container {container_id} is not running")
        data = await client.request(
            "exec", timeout + 5.0, container=container_id, argv=command, limit=timeout
        )
        if data["timed_out"]:
            raise ExecTimeout(f"command {command!r} timed out")
        out, err = (data[name].encode("utf-8", "surrogateescape") for name in ("stdout", "stderr"))
        return ExecResult(data["code"], out, err)

    def container_stats(self) -> dict[str, ContainerStats]:
        now = self._now()
        return {
            container_id: container_usage(container.status.pid, now)
            for container_id, container in self._containers.items()
            if container.status is not None and container.status.state == "RUNNING"
        }

    def _container(self, container_id: str) -> _Container:
        try:
            return self._containers[container_id]
        except KeyError:
            raise NotFound(f"container {container_id} not found") from None

    # --- images

    def image_status(self, image: str) -> ImageInfo | None:
        found = self._catalogue.find(image)
        return found.info(image) if found is not None else None

    async def pull_image(self, image: str) -> ImageInfo:
        """Nothing is ever downloaded: an image is here or it is not."""
        return self._image(image).info(image)

    def list_images(self) -> list[ImageInfo]:
        return [image.info(image.name + ":latest") for image in self._catalogue.images()]

    def _image(self, image: str) -> Image:
        found = self._catalogue.find(image)
        if found is None:
            raise ImageFault(self._catalogue.explain(image))
        return found
