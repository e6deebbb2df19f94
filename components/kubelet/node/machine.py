"""Reads the machine: processors, memory, disk, identity. The numbers a Node's status is made from."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from components.kubelet.node.status import Machine

_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""


def memory_info() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    out = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        out[name] = int(rest.split()[0]) * 1024
    return out


def read_machine(root: Path) -> Machine:
    memory, disk, system = memory_info(), os.statvfs(root), os.uname()
    release = dict(line.partition("=")[::2] for line in _text("/etc/os-release").splitlines() if "=" in line)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        disk=disk.f_blocks * disk.f_frsize,
        arch=_ARCH.get(system.machine, system.machine),
        kernel=system.release,
        os_image=release.get("PRETTY_NAME", "Linux").strip('"'),
        machine_id=_text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        memory_available=memory.get("MemAvailable", 0),
        disk_available=disk.f_bavail * disk.f_frsize,
    )
