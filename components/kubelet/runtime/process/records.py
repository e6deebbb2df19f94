"""What the process runtime keeps on disk, one directory per sandbox, so that a new kubelet finds
everything again.

<root>/sandboxes/<sandbox id>/sandbox.json          SandboxRecord, written here
                             /shim.sock shim.log    the shim's
                             /containers/<id>/container.json   ContainerRecord, written here
                             /containers/<id>/spec.json        what the shim executes, written here
                             /containers/<id>/status.json      start and exit, written by the shim
                             /containers/<id>/root             mount point of the container's tree
                             /containers/<id>/work             the container's own working directory
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from components.kubelet.runtime.interface import ContainerConfig, ContainerState, SandboxConfig

T = TypeVar("T")


class SandboxRecord(msgspec.Struct):
    id: str
    config: SandboxConfig
    ip: str
    created_at: float
    shim_pid: int = 0
    shim_ticks: int = 0
    stopped: bool = False


class ShimStatus(msgspec.Struct):
    """As `shim.server.Container.status`."""

    id: str
    state: ContainerState
    pid: int = 0
    start_ticks: int | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""


class ContainerRecord(msgspec.Struct):
    id: str
    sandbox_id: str
    config: ContainerConfig
    image_ref: str
    created_at: float


def write(path: Path, value: object) -> None:
    """Replace the file as a whole, readable by its owner only (environments hold secrets)."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(value))
    os.replace(fresh, path)


def read(path: Path, kind: type[T]) -> T | None:
    """The stored value, or None if the file is not there or was never completed."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def shim_status(data: dict[str, Any]) -> ShimStatus:
    return msgspec.convert(data, ShimStatus)


def remove_tree(path: Path) -> None:
    """Remove a directory of ours; what a container left unreadable is made removable first."""

    def retry(function: Any, name: str, _error: object) -> None:
        try:
            os.chmod(os.path.dirname(name), 0o700)
            function(name)
        except OSError:
            return

    shutil.rmtree(path, onerror=retry)
