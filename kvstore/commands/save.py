"""`kvstore snapshot save`: the stream of a member, ours or etcd's, into a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from kvstore.commands.connection import Connection, ServerError, Target, connected
from kvstore.commands.files import Progress, receive
from kvstore.rpc.proto import rpc_pb2


async def save(target: Target, path: Path, progress: Progress) -> str:
    """Save from the first endpoint that gives a whole snapshot; its name.

    A connection that breaks costs a new start with the next endpoint: the next member's file is another one.
    """
    for endpoint in target.endpoints:
        try:
            async with connected(target, endpoint) as connection:
                await receive(path, _chunks(connection), endpoint, progress)
            return endpoint
        except ServerError as error:
            if endpoint == target.endpoints[-1] or error.code != "UNAVAILABLE":
                raise
    raise ValueError("no endpoint was given")


async def _chunks(connection: Connection) -> AsyncIterator[tuple[bytes, int]]:
    request = rpc_pb2.SnapshotRequest()
    method = "etcdserverpb.Maintenance/Snapshot"
    async for reply in connection.stream(method, request, rpc_pb2.SnapshotResponse):
        yield reply.blob, reply.remaining_bytes
