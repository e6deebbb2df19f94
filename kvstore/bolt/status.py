"""What a snapshot file is, found by reading all of it: the figures of `etcdctl snapshot status`.

The hash is etcd's as well: CRC-32C over the names, keys and values of all buckets in their order, so it
compares with what etcdctl and etcdutl print for the same file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from kvstore.bolt.reader import BoltFile

_BATCH = 1 << 18


class Status(NamedTuple):
    """`keys` counts every record of every bucket, as etcd does; `size` is the database's, in bytes."""

    hash: int
    revision: int
    keys: int
    size: int
    version: str


def status(path: Path) -> Status:
    """Verifies checksum and structure on the way. Raises `SnapshotCorrupt`."""
    with BoltFile(path) as source:
        source.checksum()
        walk = _Walk()
        crc = 0
        for part in walk.parts(source):
            crc = google_crc32c.extend(crc, part)
        size = source.meta.pages * source.meta.page_size
        return Status(crc, walk.revision, walk.keys, size, walk.version)


class _Walk:
    def __init__(self) -> None:
        self.keys = 0
        self.revision = 0
        self.version = ""

    def parts(self, source: BoltFile) -> Iterator[bytes]:
        """All that is hashed, in pieces worth a call."""
        for name, bucket in source.buckets().items():
            pieces, size = [name], 0
            key = b""
            for key, value in bucket:
                self.keys += 1
                pieces += (key, value)
                size += len(value)
                if size > _BATCH:
                    yield b"".join(pieces)
                    pieces, size = [], 0
                if name == b"meta" and key == b"storageVersion":
                    self.version = value.decode(errors="replace")
            yield b"".join(pieces)
            if name == b"key":
                self.revision = int.from_bytes(key[:8], "big")
