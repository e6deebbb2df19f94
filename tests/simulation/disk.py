"""A disk that forgets what was not synced, as a power loss does."""

from __future__ import annotations

import random


class SimulatedFiles:
    """`kvstore.raft.files.Files` in memory. `crash` keeps a random part of each unsynced tail, or zeros in it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._files: dict[str, bytearray] = {}
        self._synced: dict[str, int] = {}

    def names(self) -> list[str]:
        return sorted(self._files)

    def path(self, name: str) -> str:
        return f"disk/{name}"

    def read(self, name: str) -> bytes:
        return bytes(self._files[name])

    def create(self, name: str, data: bytes) -> None:
        self._files[name] = bytearray(data)
        self._synced[name] = len(data)

    def append(self, name: str, data: bytes) -> None:
        self._files[name] += data

    def sync(self, name: str) -> None:
        self._synced[name] = len(self._files[name])

    def truncate(self, name: str, size: int) -> None:
        del self._files[name][size:]
        self._synced[name] = size

    def remove(self, name: str) -> None:
        del self._files[name], self._synced[name]

    def close(self) -> None:
        """Nothing is open."""

    def crash(self) -> None:
        for name, data in self._files.items():
            synced = self._synced[name]
            if len(data) > synced:
                del data[self._rng.randint(synced, len(data)) :]
            self._synced[name] = len(data)
