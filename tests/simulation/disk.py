"""A disk that forgets what was not synced, as a power loss does, and that can be full."""

from __future__ import annotations

import errno
import random

from kvstore.raft.records import SECTOR


class SimulatedFiles:
    """`kvstore.raft.files.Files` in memory.

    `crash` tears what was not synced (a random part of the tail is gone) or reorders it (of its sectors, later ones
    were written and earlier ones were not: those are zeros). Files removed since the directory was last synced may
    come back, in the order of a journaling file system: the last removed first.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._files: dict[str, bytearray] = {}
        self._synced: dict[str, int] = {}
        self._removed: list[tuple[str, bytearray]] = []
        self.full = False

    def names(self) -> list[str]:
        return sorted(self._files)

    def path(self, name: str) -> str:
        return f"disk/{name}"

    def read(self, name: str) -> bytes:
        return bytes(self._files[name])

    def create(self, name: str, data: bytes) -> None:
        self._check_space()
        self._files[name] = bytearray(data)
        self._synced[name] = len(data)
        self._removed.clear()

    def append(self, name: str, data: bytes) -> None:
        if self.full:
            self._files[name] += data[: self._rng.randrange(len(data))]
        self._check_space()
        self._files[name] += data

    def sync(self, name: str) -> None:
        self._synced[name] = len(self._files[name])

    def truncate(self, name: str, size: int) -> None:
        del self._files[name][size:]
        self._synced[name] = size

    def remove(self, name: str) -> None:
        del self._synced[name]
        self._removed.append((name, self._files.pop(name)))

    def close(self) -> None:
        """Nothing is open."""

    def crash(self) -> None:
        for name, data in self._removed[self._rng.randint(0, len(self._removed)) :]:
            self._files[name], self._synced[name] = data, len(data)
        self._removed.clear()
        for name, data in self._files.items():
            synced = self._synced[name]
            if len(data) > synced:
                self._lose(data, synced)
            self._synced[name] = len(data)

    def _lose(self, data: bytearray, synced: int) -> None:
        if self._rng.random() < 0.5:
            del data[self._rng.randint(synced, len(data)) :]
            return
        at = synced
        while at < len(data):
            end = min(len(data), (at // SECTOR + 1) * SECTOR)
            if self._rng.random() < 0.5:
                data[at:end] = bytes(end - at)
            at = end

    def _check_space(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
