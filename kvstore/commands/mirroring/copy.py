"""All keys of the source as of one revision, put into the destination in the order of their last changes.

Pages come in key order, which is what a store reads fast; their values wait in an unnamed file, so memory
holds only where each of them is.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

from kvstore.commands.mirroring.plan import Change, Renaming, range_end, transactions
from kvstore.commands.session import Session
from kvstore.rpc.proto import rpc_pb2

_PAGE = 1000

Place = tuple[int, int, int, int]
"""Revision, position in the file, size of the key, size of the value."""


async def copy(source: Session, destination: Session, renaming: Renaming, *, merge: bool) -> int:
    """Make the destination's prefix what the source's is; the revision of the source that it is now."""
    with tempfile.TemporaryFile() as file:
        revision, places = await _fetch(source, renaming.prefix, file)
        kept: set[bytes] = set()
        for group in transactions(_changes(file, sorted(places), renaming), merge=merge):
            kept.update(change.key for change in group)
            await apply(destination, group)
    extra = [key async for key in keys(destination, renaming.destination) if key not in kept]
    for group in transactions(Change(0, key, None) for key in extra):
        await apply(destination, group)
    return revision


async def apply(destination: Session, group: list[Change]) -> None:
    """One transaction; doing it twice is doing it once."""
    request = rpc_pb2.TxnRequest()
    for change in group:
        operation = request.success.add()
        if change.value is None:
            operation.request_delete_range.key = change.key
        else:
            operation.request_put.key = change.key
            operation.request_put.value = change.value
    await destination.call("etcdserverpb.KV/Txn", request, rpc_pb2.TxnResponse)


async def keys(session: Session, prefix: bytes) -> AsyncIterator[bytes]:
    async for _, page in _pages(session, prefix, keys_only=True):
        for kv in page.kvs:
            yield kv.key


async def _fetch(source: Session, prefix: bytes, file: IO[bytes]) -> tuple[int, list[Place]]:
    places: list[Place] = []
    revision = 0
    async for at, page in _pages(source, prefix, keys_only=False):
        revision = at
        for kv in page.kvs:
            places.append((kv.mod_revision, file.tell(), len(kv.key), len(kv.value)))
            file.write(kv.key + kv.value)
    return revision, places


def _changes(file: IO[bytes], places: list[Place], renaming: Renaming) -> Iterator[Change]:
    for revision, at, key_size, value_size in places:
        file.seek(at)
        data = file.read(key_size + value_size)
        yield Change(revision, renaming(data[:key_size]), data[key_size:])


async def _pages(
    session: Session, prefix: bytes, *, keys_only: bool
) -> AsyncIterator[tuple[int, rpc_pb2.RangeResponse]]:
    """All keys of a prefix as of one revision, which comes with each page."""
    request = rpc_pb2.RangeRequest(
        key=prefix or b"\0", range_end=range_end(prefix), limit=_PAGE, keys_only=keys_only
    )
    while True:
        page = await session.call("etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)
        request.revision = request.revision or page.header.revision
        yield request.revision, page
        if not page.more or not page.kvs:
            return
        request.key = page.kvs[-1].key + b"\0"
