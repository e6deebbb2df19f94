"""A stream of chunks into a snapshot file that is there whole and right, or not at all.

Used by `kvstore.commands.save` (chunks from the network) and `schedule` (chunks of the own member).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

from kvstore.backend import translated
from kvstore.backup import fsync_directory
from kvstore.errors import SnapshotCorrupt

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there will be, as the sender says."""

_TAIL = hashlib.sha256().digest_size


async def receive(
    path: Path, chunks: AsyncIterator[tuple[bytes, int]], origin: str, progress: Progress
) -> None:
    """Write the chunks (data, bytes that remain) to `path`, replacing what was there.

    They go to FILE.part, which gets its name when checksum and disk have agreed, and is removed otherwise.
    Raises `SnapshotCorrupt` with `origin` if they do not end with the SHA-256 of all before.
    """
    part = path.with_name(path.name + ".part")
    try:
        with translated(path):
            file = open(part, "wb")  # noqa: ASYNC230, SIM115
        with file:
            await _write(file, chunks, origin, progress)
            with translated(path):
                await asyncio.to_thread(_sync, file)
        with translated(path):
            os.replace(part, path)
            fsync_directory(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        raise


async def _write(
    file: IO[bytes], chunks: AsyncIterator[tuple[bytes, int]], origin: str, progress: Progress
) -> None:
    digest = hashlib.sha256()
    held = b""
    size = 0
    async for data, remaining in chunks:
        with translated(Path(file.name)):
            file.write(data)
        size += len(data)
        held += data
        digest.update(held[:-_TAIL])
        held = held[-_TAIL:]
        progress(size, size + remaining)
    if size % 512 != _TAIL or held != digest.digest():
        raise SnapshotCorrupt(f"{origin}: the snapshot broke off or was altered on the way; save it again")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
