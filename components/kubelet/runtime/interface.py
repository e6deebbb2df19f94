"""The container runtime as the kubelet sees it: the CRI's calls and words, without gRPC.

Stands between the pod workers (callers) and one runtime (the process runtime by default). A sandbox is
what holds a pod's address and hostname; containers live in a sandbox and are addressed by id. Everything
here survives the kubelet: a new kubelet finds the same sandboxes and containers through `list_*`.
Errors are `RuntimeFault`s whose `reason` is the waiting reason that Kubernetes shows:

    RuntimeFault
    ├── ConfigFault      CreateContainerConfigError: the request cannot be met as written
    ├── CreateFault      CreateContainerError
    ├── StartFault       RunContainerError: the program could not be started
    ├── SandboxFault     FailedCreatePodSandBox
    ├── ImageFault       ErrImagePull / ErrImageNeverPull / InvalidImageName
    └── NotFound         no such sandbox or container

Source: k8s.io/cri-api/pkg/apis/runtime/v1/api.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

SandboxState = Literal["READY", "NOTREADY"]
ContainerState = Literal["CREATED", "RUNNING", "EXITED", "UNKNOWN"]


class RuntimeFault(Exception):
    reason = "RuntimeError"


class ConfigFault(RuntimeFault):
    reason = "CreateContainerConfigError"


class CreateFault(RuntimeFault):
    reason = "CreateContainerError"


class StartFault(RuntimeFault):
    reason = "RunContainerError"


class SandboxFault(RuntimeFault):
    reason = "FailedCreatePodSandBox"


class ImageFault(RuntimeFault):
    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason


class NotFound(RuntimeFault):
    reason = "NotFound"


class Mount(msgspec.Struct, frozen=True):
    host_path: str
    container_path: str
    readonly: bool = False


class SandboxConfig(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    host_network: bool = False
    log_directory: str = ""
    labels: dict[str, str] = {}


class SandboxStatus(msgspec.Struct, frozen=True):
    id: str
    config: SandboxConfig
    state: SandboxState
    created_at: float  # Unix seconds
    ips: tuple[str, ...] = ()


class ContainerConfig(msgspec.Struct, frozen=True):
    """One container to create. `command` and `args` are as in the pod: the image supplies what is absent."""

    name: str
    attempt: int  # the restart count
    image: str
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: dict[str, str] = {}
    mounts: list[Mount] = []
    annotations: dict[str, str] = {}
    log_path: str = ""
    memory_limit: int = 0  # bytes, 0 for none
    run_as_user: int | None = None
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    oom_score_adj: int = 0
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class ContainerStatus(msgspec.Struct, frozen=True):
    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    image: str
    image_ref: str
    log_path: str
    created_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    pid: int = 0
    annotations: dict[str, str] = {}


class ExecResult(msgspec.Struct, frozen=True):
    exit_code: int
    stdout: bytes
    stderr: bytes


class Streams(msgspec.Struct, frozen=True):
    """Which streams a client wants of a command or a container. With a terminal there is no stderr."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class Session(Protocol):
    """A command with live streams, or a container attached to. Reads give b"" at the end of the stream; a
    stream that was not asked for is at its end. Whoever does not read stops the program that writes."""

    async def read_stdout(self) -> bytes: ...
    async def read_stderr(self) -> bytes: ...
    async def write_stdin(self, data: bytes) -> None: ...
    def close_stdin(self) -> None: ...
    def resize(self, width: int, height: int) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


class ExecTimeout(RuntimeFault):
    reason = "DeadlineExceeded"


class ContainerStats(msgspec.Struct, frozen=True):
    """Use of one container at `timestamp` (Unix seconds): CPU time since its start, memory now, in bytes."""

    timestamp: float
    cpu_seconds: float
    rss_bytes: int
    working_set_bytes: int
    processes: int
    log_bytes: int = 0


class ImageInfo(msgspec.Struct, frozen=True):
    id: str
    tag: str
    size: int
    user: int | None = None


class Runtime(Protocol):
    """`on_change(callback)`: called with a pod uid whenever one of its containers or its sandbox changed."""

    name: str
    version: str

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def can_mount(self) -> bool: ...
    def on_change(self, callback: Callable[[str], None]) -> None: ...

    async def run_pod_sandbox(self, config: SandboxConfig) -> str: ...
    async def stop_pod_sandbox(self, sandbox_id: str) -> None: ...
    async def remove_pod_sandbox(self, sandbox_id: str) -> None: ...
    def list_pod_sandboxes(self) -> list[SandboxStatus]: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str: ...
    async def start_container(self, container_id: str) -> None: ...
    async def stop_container(self, container_id: str, timeout: float) -> None: ...
    async def remove_container(self, container_id: str) -> None: ...
    def list_containers(self, pod_uid: str | None = None) -> list[ContainerStatus]: ...
    async def exec_sync(self, container_id: str, command: list[str], timeout: float) -> ExecResult: ...
    async def exec(self, container_id: str, command: list[str], streams: Streams) -> Session: ...
    async def attach(self, container_id: str, streams: Streams) -> Session: ...
    async def port_forward(
        self, sandbox_id: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...
    def container_stats(self) -> dict[str, ContainerStats]: ...

    def image_status(self, image: str) -> ImageInfo | None: ...
    async def pull_image(self, image: str) -> ImageInfo: ...
    def list_images(self) -> list[ImageInfo]: ...
