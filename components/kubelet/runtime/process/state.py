"""A sandbox and a container as the runtime knows them: the record on disk and the shim's last word."""

from __future__ import annotations

import asyncio
from pathlib import Path

from components.kubelet.runtime.process import shims
from components.kubelet.runtime.process.records import ContainerRecord, SandboxRecord, ShimStatus


class Sandbox:
    def __init__(self, record: SandboxRecord, directory: Path) -> None:
        self.record, self.directory = record, directory
        self.client: shims.ShimClient | None = None
        self.containers: dict[str, Container] = {}

    @property
    def ready(self) -> bool:
        return self.client is not None and not self.record.stopped


class Container:
    def __init__(self, record: ContainerRecord, sandbox: Sandbox) -> None:
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
