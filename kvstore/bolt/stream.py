"""A member's state as the chunks of an etcd snapshot file, made without holding up the member.

    kvstore.rpc (Maintenance/Snapshot) -> stream(...) -> [process] kvstore.bolt.worker -> file -> chunks

The file is written whole first, at the speed of the disk, and deleted as soon as it is open: a client that
reads slowly, or not at all, keeps disk space but no pages of the live database.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from kvstore.errors import DataDirUnusable
from kvstore.types import MemberInfo

CHUNK = 256 << 10
"""Bytes: few messages, each well below gRPC's limit of 4 MiB."""
_READ = 4 * CHUNK
"""Bytes read and hashed in one go, in a thread: a hand-over costs as much as hashing a chunk."""


class Chunk(NamedTuple):
    """`remaining`: bytes that follow this chunk."""

    data: bytes
    remaining: int


async def stream(database: Path, work: Path, members: Iterable[MemberInfo]) -> AsyncIterator[Chunk]:
    """The last commit of the database directory, and the SHA-256 of all before as the last 32 bytes.

    `work` is a directory on a disk with as much room as the database takes. Raises `DataDirUnusable`.
    """
    descriptor = await _written(database, work, msgspec.json.encode(list(members)))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        remaining = os.fstat(descriptor).st_size + hashlib.sha256().digest_size
        digest = hashlib.sha256()

        def read() -> bytes:
            data = file.read(_READ)
            digest.update(data)
            return data

        while data := await asyncio.to_thread(read):
            for at in range(0, len(data), CHUNK):
                chunk = data[at : at + CHUNK]
                remaining -= len(chunk)
                yield Chunk(chunk, remaining)
        yield Chunk(digest.digest(), 0)


async def _written(database: Path, work: Path, members: bytes) -> int:
    """A descriptor of the file, which has no name any more."""
    descriptor, name = tempfile.mkstemp(prefix=".export-", dir=work)
    try:
        await _run_worker(database, name, members)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        os.unlink(name)
    return descriptor


async def _run_worker(database: Path, file: str, members: bytes) -> None:
    command = (sys.executable, "-m", "kvstore.bolt.worker", str(database), file)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        _, words = await process.communicate(members)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = words.decode(errors="replace").strip().rpartition("\n")[2]
        raise DataDirUnusable(f"{database}: no snapshot could be written to {file}: {last}")
