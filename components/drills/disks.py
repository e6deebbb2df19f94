"""A file system of its own for a member, so that it can be full or lose power. Needs root and loop devices.

A power cut is ext4's own: the shutdown ioctl (what xfstests' `godown` does) drops everything that was not forced to
the device, data and journal, and answers every later write with EIO. Mounted again, the disk holds what a machine
would find after the lights went out: what was fsynced, and perhaps a little more.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
RESERVE = 65_536


class Disk:
    def __init__(self, directory: Path, name: str, megabytes: int = 256) -> None:
        self.mount = directory / f"{name}.disk"
        self._image = directory / f"{name}.image"
        self._filler = self.mount / "filler"
        self.mount.mkdir()
        with self._image.open("wb") as image:
            image.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self._attach()

    def _attach(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.mount))

    def fill(self) -> None:
        """Leaves no room for a write."""
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(RESERVE))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    def flush(self) -> None:
        """What the kernel does by itself every few seconds: everything written so far is on the device."""
        root = os.open(self.mount, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(root) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(self.mount))
        finally:
            os.close(root)

    def cut_power(self) -> None:
        """What is not on the device yet never gets there; writes fail from now on. `restore_power` ends it."""
        root = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(root, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(root)

    def restore_power(self) -> None:
        """The processes that used the disk have to be gone. Raises RuntimeError if somebody else holds it."""
        _run("umount", str(self.mount))
        self._attach()
        try:
            self._filler.write_bytes(b"")
        except OSError as error:
            raise RuntimeError(
                f"{self.mount} was unmounted and mounted again and is still without power: the mounts of another "
                "process (a container that was started meanwhile) hold the file system"
            ) from error
        self.empty()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.mount)], capture_output=True, check=False)
        self._image.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.mount.rmdir()


@cache
def available() -> bool:
    """True if disks can be made here."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as directory:
        try:
            disk = Disk(Path(directory), "probe", 16)
        except (OSError, subprocess.CalledProcessError):
            return False
        disk.close()
    return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
