"""Reads the end of a log file, and what is added to it."""

from __future__ import annotations

from pathlib import Path

_BLOCK = 64 * 1024


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines (of the last 64 KiB); [] when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _BLOCK))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


class Follower:
    """Reads what is appended to a file; begins anew when the file is replaced or cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = self._where()

    def read(self) -> str:
        """What has come since the last call."""
        inode, size = self._where()
        if inode != self._inode or size < self._position:
            self._inode, self._position = inode, 0
        if size == self._position:
            return ""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        return data.decode(errors="replace")

    def _where(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size
