"""The storage engine's tables as sorted dicts."""

from __future__ import annotations

from collections.abc import Iterator


class MemoryTable:
    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        assert 0 < len(key) <= 511
        return self.data.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        assert 0 < len(key) <= 511
        self.data[key] = value

    def append(self, key: bytes, value: bytes) -> None:
        assert key > max(self.data, default=b"")
        self.put(key, value)

    def delete(self, key: bytes) -> None:
        self.data.pop(key, None)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.items(start, end))

    def items(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        return sorted((k, v) for k, v in self.data.items() if start <= k and (not end or k < end))

    def get_many(self, keys: list[bytes]) -> list[bytes]:
        return [self.data[key] for key in keys]


class MemoryBackend:
    def __init__(self) -> None:
        self.history = MemoryTable()
        self.leases = MemoryTable()
        self.attached = MemoryTable()
        self.auth = MemoryTable()
