"""`kvstore snapshot save`: the stream of a member into a file that is there whole and right, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kvstore.backend import translated
from kvstore.backup import fsync_directory
from kvstore.commands.connection import Connection, ServerError, Target, connected
from kvstore.errors import SnapshotCorrupt
from kvstore.rpc.proto import rpc_pb2

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there will be, as the server says."""

_TAIL = hashlib.sha256().digest_size


async def save(target: Target, path: Path, progress: Progress) -> str:
    """Save from the first endpoint that gives a whole snapshot; its name.

    The bytes go to FILE.part, which is renamed when checksum and disk have agreed, and removed otherwise.
    """
    part = path.with_name(path.name + ".part")
    for endpoint in target.endpoints:
        try:
            await _save_from(target, endpoint, part, progress)
            break
        except ServerError as error:
            if endpoint == target.endpoints[-1] or error.code != "UNAVAILABLE":
                raise
    with translated(path):
        os.replace(part, path)
        fsync_directory(path.parent)
    return endpoint


async def _save_from(target: Target, endpoint: str, part: Path, progress: Progress) -> None:
    try:
        async with connected(target, endpoint) as connection:
            with translated(part), open(part, "wb") as file:  # noqa: ASYNC230
                await _receive(connection, file, progress)
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        raise


async def _receive(connection: Connection, file: IO[bytes], progress: Progress) -> None:
    """Write what comes; it must end with the SHA-256 of all before."""
    digest = hashlib.sha256()
    held = b""
    size = 0
    request = rpc_pb2.SnapshotRequest()
    async for reply in connection.stream(
        "etcdserverpb.Maintenance/Snapshot", request, rpc_pb2.SnapshotResponse
    ):
        file.write(reply.blob)
        size += len(reply.blob)
        held += reply.blob
        digest.update(held[:-_TAIL])
        held = held[-_TAIL:]
        progress(size, size + reply.remaining_bytes)
    if size % 512 != _TAIL or held != digest.digest():
        raise SnapshotCorrupt(
            f"{connection.endpoint}: the snapshot broke off or was altered on the way; save it again"
        )
