"""From a CRI container config to what the shim executes (P but for the user's own ids, which are passed in).

Decides the namespaces, the argument vector and the environment, and refuses with a reason what a plain
process cannot be: another user without the right to change to it, a read-only root without a mount
namespace, volumes without one.
"""

from __future__ import annotations

import os
from pathlib import Path

from components.kubelet.images.catalogue import Image
from components.kubelet.runtime.interface import ContainerConfig
from components.kubelet.runtime.process.records import ContainerRecord, SandboxRecord

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOG_MAX_BYTES = 10 << 20
LOG_MAX_FILES = 5


def namespaces(isolation: str, *, root: bool | None = None) -> tuple[str, ...]:
    """Root needs no user namespace: it may make the others, and keeps its rights over files in them."""
    if isolation == "none":
        return ()
    user = () if (os.geteuid() == 0 if root is None else root) else ("user",)
    return (*user, "mount", "pid", "uts") if isolation == "full" else (*user, "mount", "uts")


def refusal(config: ContainerConfig, isolation: str, problem: str) -> str:
    """Why this container cannot be run as asked here; empty if it can."""
    if isolation != "none":
        return ""
    why = f"this machine grants no mount namespace ({problem or 'refused by the kernel'})"
    if config.mounts:
        paths = ", ".join(mount.container_path for mount in config.mounts)
        return f"cannot mount {paths}: {why}"
    if config.readonly_rootfs:
        return f"cannot make the root file system read-only: {why}"
    if config.run_as_user is not None and config.run_as_user != os.geteuid() and os.geteuid() != 0:
        return f"cannot run as user {config.run_as_user}: {why}"
    return ""


def build(
    record: ContainerRecord, image: Image, isolation: str, directory: Path, sandbox: SandboxRecord
) -> dict[str, object]:
    config = record.config
    work = str(directory / "work")
    return {
        "id": record.id,
        "namespaces": namespaces(isolation),
        "root": str(directory / "root"),
        "mounts": [
            {"host_path": m.host_path, "container_path": m.container_path, "readonly": m.readonly}
            for m in config.mounts
        ],
        "readonly": config.readonly_rootfs,
        "hostname": sandbox.config.hostname,
        "cwd": config.working_dir or work,
        "create_cwd": config.working_dir,
        "argv": image.argv(config.command, config.args),
        "env": _environment(config, image, work),
        "uid": config.run_as_user,
        "gid": config.run_as_group,
        "oom_score_adj": config.oom_score_adj,
        "stdin": config.stdin,
        "stdin_once": config.stdin_once,
        "tty": config.tty,
        "memory_limit": config.memory_limit,
        "log_path": config.log_path,
        "log_max_bytes": LOG_MAX_BYTES,
        "log_max_files": LOG_MAX_FILES,
    }


def _environment(config: ContainerConfig, image: Image, work: str) -> dict[str, str]:
    # Another user than the kubelet's may be unable to reach a directory of the kubelet by its path.
    home = "/" if config.run_as_user and os.geteuid() == 0 else work
    base = {"PATH": DEFAULT_PATH, "HOME": home, "LANG": os.environ.get("LANG", "C.UTF-8")}
    if config.tty:
        base["TERM"] = "xterm"
    return {**base, **image.env(config.image), **config.env}
