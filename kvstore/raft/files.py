"""The few file operations the log needs, behind a protocol so that tests can inject a full or dying disk.

`OsFiles` is the real one. Names are plain file names inside one directory.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from kvstore import telemetry


class Files(Protocol):
    def names(self) -> list[str]:
        """Names of the files there, sorted."""

    def path(self, name: str) -> str:
        """For messages."""

    def read(self, name: str) -> bytes: ...

    def create(self, name: str, data: bytes) -> None:
        """The file appears under its name with all of `data` and durable, or not at all."""

    def append(self, name: str, data: bytes) -> None:
        """All of it; after an error any part of it may be there."""

    def sync(self, name: str) -> None: ...

    def truncate(self, name: str, size: int) -> None:
        """Durable on return."""

    def remove(self, name: str) -> None: ...

    def close(self) -> None: ...


class OsFiles:
    """Keeps the file it appends to open. `fsync=False` is `--unsafe-no-fsync`."""

    def __init__(self, directory: Path, *, fsync: bool = True) -> None:
        self._directory, self._fsync = directory, fsync
        self._open: tuple[str, int] | None = None
        self._delay, self._slow_until = 0.0, 0.0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(os.listdir(self._directory))

    def path(self, name: str) -> str:
        return str(self._directory / name)

    def read(self, name: str) -> bytes:
        return (self._directory / name).read_bytes()

    def create(self, name: str, data: bytes) -> None:
        temporary = self._directory / (name + ".tmp")
        try:
            fd = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                _write_all(fd, data)
                self._sync_fd(fd)
            finally:
                os.close(fd)
            os.rename(temporary, self._directory / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_directory()

    def append(self, name: str, data: bytes) -> None:
        _write_all(self._fd(name), data)

    def sync(self, name: str) -> None:
        self._sync_fd(self._fd(name))

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._fd(name), size)
        self._sync_fd(self._fd(name))

    def remove(self, name: str) -> None:
        (self._directory / name).unlink()

    def slow_down(self, delay: float, seconds: float) -> None:
        """For drills: every fsync takes `delay` seconds longer, for so many seconds from now on."""
        self._delay, self._slow_until = delay, time.monotonic() + seconds

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _fd(self, name: str) -> int:
        if self._open is None or self._open[0] != name:
            self.close()
            self._open = (name, os.open(self._directory / name, os.O_WRONLY | os.O_APPEND))
        return self._open[1]

    def _sync_fd(self, fd: int) -> None:
        if self._fsync:
            started = time.perf_counter()
            os.fdatasync(fd)
            if self._delay and time.monotonic() < self._slow_until:
                time.sleep(self._delay)
            telemetry.WAL_FSYNC.observe(time.perf_counter() - started)

    def _sync_directory(self) -> None:
        if not self._fsync:
            return
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
