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
    RuntimeFault,
    SandboxConfig,
    SandboxStatus,
    Session,
    Streams,
)
from components.kubelet.runtime.process import records, shims, spec
from components.kubelet.runtime.process.ipam import AddressPool
from components.kubelet.runtime.process.records import ContainerRecord, ShimStatus
from components.kubelet.runtime.process.sandboxes import Sandboxes
from components.kubelet.runtime.process.sessions import ProcessSession
from components.kubelet.runtime.process.state import Container
from components.kubelet.runtime.process.usage import container_usage

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0


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
        self._catalogue = catalogue
        self.isolation = isolation or ""
        self.isolation_problem = ""
        self._now, self._new_id = now, new_id
        self._changed: Callable[[str], None] = lambda uid: None
        self._sandboxes = Sandboxes(
            root, AddressPool(pod_cidr), node_ip, now, new_id, lambda uid: self._changed(uid)
        )

    # --- life of the runtime itself

    async def start(self) -> None:
        """Find out what this machine grants, then take up again every sandbox left on disk."""
        (self._root / "sandboxes").mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.isolation:
            await self._find_isolation()
        await self._sandboxes.adopt_all()

    async def close(self) -> None:
        """Let go of the shims; the containers keep running."""
        await self._sandboxes.let_go()

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

    # --- sandboxes

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        return await self._sandboxes.run(config)

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """End whatever still runs in it at once and give its address back."""
        await self._sandboxes.stop(sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._sandboxes.remove(sandbox_id)

    def list_pod_sandboxes(self) -> list[SandboxStatus]:
        return self._sandboxes.statuses()

    # --- containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self._sandboxes.get(sandbox_id)
        image = self._image(config.image)
        container_id = self._new_id()
        record = ContainerRecord(container_id, sandbox_id, config, image.digest, self._now())
        container = Container(record, sandbox)
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
        self._sandboxes.containers[container_id] = sandbox.containers[container_id] = container
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
        await self._sandboxes.kill(container)

    async def remove_container(self, container_id: str) -> None:
        container = self._container(container_id)
        await self.stop_container(container_id, 0)
        if container.sandbox.client is not None:
            await container.sandbox.client.request("forget", container=container_id)
        del self._sandboxes.containers[container_id]
        del container.sandbox.containers[container_id]
        await asyncio.to_thread(records.remove_tree, container.directory)

    def list_containers(self, pod_uid: str | None = None) -> list[ContainerStatus]:
        return [
            self._container_status(container)
            for container in self._sandboxes.containers.values()
            if pod_uid is None or container.sandbox.record.config.uid == pod_uid
        ]

    def _container_status(self, container: Container) -> ContainerStatus:
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
        client = self._running(container_id).sandbox.client
        assert client is not None
        data = await client.request(
            "exec", timeout + 5.0, container=container_id, argv=command, limit=timeout
        )
        if data["timed_out"]:
            raise ExecTimeout(f"command {command!r} timed out")
        out, err = (data[name].encode("utf-8", "surrogateescape") for name in ("stdout", "stderr"))
        return ExecResult(data["code"], out, err)

    async def exec(self, container_id: str, command: list[str], streams: Streams) -> Session:
        """Raises StartFault when the command cannot be started."""
        container = self._running(container_id)
        user = container.record.config.run_as_user
        owner = user if os.geteuid() == 0 else None
        return await ProcessSession.execute(
            container.sandbox.directory, container_id, command, streams, owner
        )

    async def attach(self, container_id: str, streams: Streams) -> Session:
        container = self._running(container_id)
        return await ProcessSession.attach(container.sandbox.directory, container_id, streams)

    async def port_forward(
        self, sandbox_id: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the port on the pod's address. Raises RuntimeFault when nobody listens there."""
        sandbox = self._sandboxes.get(sandbox_id)
        address = sandbox.record.ip
        if not sandbox.ready:
            raise NotFound(f"sandbox {sandbox_id} is not running")
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(address, port)
        except TimeoutError:
            raise RuntimeFault(f"dial tcp4 {address}:{port}: i/o timeout") from None
        except OSError as error:
            why = os.strerror(error.errno).lower() if error.errno else str(error)
            raise RuntimeFault(f"dial tcp4 {address}:{port}: connect: {why}") from error

    def _running(self, container_id: str) -> Container:
        container = self._container(container_id)
        if container.sandbox.client is None or container.exited.is_set():
            raise NotFound(f"container {container_id} is not running")
        return container

    def container_stats(self) -> dict[str, ContainerStats]:
        now = self._now()
        return {
            container_id: container_usage(container.status.pid, now)
            for container_id, container in self._sandboxes.containers.items()
            if container.status is not None and container.status.state == "RUNNING"
        }

    def _container(self, container_id: str) -> Container:
        try:
            return self._sandboxes.containers[container_id]
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
