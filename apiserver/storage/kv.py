"""The storage over a store with etcd's API: what `embedded` (a member in this process) and `etcd` have in common.

Stands between `apiserver.http` and the store; implements `apiserver.storage.interface`. A change of the store's
leader is not the client's business: an operation goes on until `PATIENCE_SECONDS` have passed. That is
safe because every write is conditional and its value unlike any other (it holds a uid, or names the revision
that it replaces): after an unknown outcome what is stored tells whether the write happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from apiserver.storage.interface import (
    Compacted,
    KeyExists,
    ListResult,
    RevisionMismatch,
    StorageError,
    StorageEvent,
    Stored,
    Unavailable,
    WatchBatch,
)
from apiserver.storage.leases import Granter, LeasePool
from kvstore import errors as store
from kvstore.types import (
    CompactionRequest,
    CompactionResponse,
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    Event,
    EventType,
    KeyValue,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
    WatchResponse,
)

PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 0.05

T = TypeVar("T")


class Stream(Protocol):
    """One watch: created, then read."""

    def create(self, request: WatchCreateRequest) -> object: ...
    def request_progress(self) -> None: ...
    def close(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[WatchResponse]: ...


class Store(Granter, Protocol):
    """What `kvstore.member.Member` and `kvstore.client.Client` both are."""

    async def range(self, request: RangeRequest) -> RangeResponse: ...
    async def txn(self, request: TxnRequest) -> TxnResponse: ...
    async def compact(self, request: CompactionRequest) -> CompactionResponse: ...
    async def read_index(self) -> int: ...
    def revision(self) -> int: ...
    def watch(self) -> Stream: ...


class KVStorage:
    """See :class:`apiserver.storage.interface.Storage`. Subclasses say how to read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases = LeasePool(store)

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        request = RangeRequest(key.encode())
        response = await self._read(request, min_revision, linearizable)
        return (_stored(response.kvs[0]) if response.kvs else None), response.header.revision

    async def list(
        self,
        prefix: str,
        *,
        start: str = "",
        limit: int = 0,
        revision: int = 0,
        min_revision: int = 0,
        linearizable: bool = True,
    ) -> ListResult:
        first = max(prefix, start).encode()
        request = RangeRequest(first, prefix_end(prefix), limit=limit, revision=revision)
        response = await self._read(request, max(revision, min_revision), linearizable)
        items = [_stored(kv) for kv in response.kvs]
        at = revision or response.header.revision
        return ListResult(items, at, response.more, response.count - len(items) if response.more else 0)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        absent = Compare(key.encode(), CompareTarget.MOD, mod_revision=0)
        revision, current = await self._swap(key, absent, value, ttl)
        if current is not None:
            raise KeyExists(key)
        return revision

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        unchanged = Compare(key.encode(), CompareTarget.MOD, mod_revision=expected_revision)
        revision, current = await self._swap(key, unchanged, value, ttl)
        if not revision:
            raise RevisionMismatch(key, current)
        return revision

    async def delete(self, key: str, expected_revision: int) -> int:
        unchanged = Compare(key.encode(), CompareTarget.MOD, mod_revision=expected_revision)
        revision, current = await self._swap(key, unchanged, None, 0)
        if not revision:
            raise RevisionMismatch(key, current)
        return revision

    async def current_revision(self) -> int:
        return await patiently(self._store.read_index)

    async def compact(self, revision: int) -> None:
        try:
            await patiently(lambda: self._store.compact(CompactionRequest(revision)))
        except Compacted:
            return

    @asynccontextmanager
    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[_Watch]:
        asked = WatchCreateRequest(
            prefix.encode(), prefix_end(prefix), start_revision=max(start_revision, 0), prev_kv=True
        )
        stream = self._stream()
        try:
            stream.create(asked)
            yield _Watch(stream)
        finally:
            stream.close()

    def _stream(self) -> Stream:
        try:
            return self._store.watch()
        except store.StoreError as error:
            raise translated(error) from error

    async def _read(self, request: RangeRequest, min_revision: int, linearizable: bool) -> RangeResponse:
        """At least as new as `min_revision`, and as every acknowledged write if `linearizable`. Raises
        `FutureRevision`."""
        raise NotImplementedError

    async def _swap(
        self, key: str, condition: Compare, value: bytes | None, ttl: int
    ) -> tuple[int, Stored | None]:
        """(revision, None) once `value` (None: nothing) is stored; (0, what is there) if the condition fails."""
        unsure = False

        async def attempt() -> tuple[int, Stored | None]:
            nonlocal unsure
            try:
                return await self._try_swap(key, condition, value, ttl, unsure)
            except (store.LeaderChanged, store.RequestTimeout):
                unsure = True
                raise

        return await patiently(attempt)

    async def _try_swap(
        self, key: str, condition: Compare, value: bytes | None, ttl: int, unsure: bool
    ) -> tuple[int, Stored | None]:
        name = key.encode()
        change: RequestOp = DeleteRangeRequest(name)
        if value is not None:
            change = PutRequest(name, value, lease=await self._leases.lease(ttl) if ttl else 0)
        request = TxnRequest((condition,), (change,), (RangeRequest(name),))
        response = await self._store.txn(request)
        if response.succeeded:
            return response.header.revision, None
        (found,) = response.responses
        assert isinstance(found, RangeResponse)
        current = _stored(found.kvs[0]) if found.kvs else None
        if unsure and (current.value if current else None) == value:
            return (current.revision if current else response.header.revision), None
        return 0, current


class _Watch:
    """One watch of one stream, as batches."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def request_progress(self) -> None:
        self._stream.request_progress()

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        try:
            async for response in self._stream:
                if response.canceled:
                    raise _refusal(response)
                if not response.created:
                    yield _batch(response)
        except store.StoreError as error:
            raise translated(error) from error


def _refusal(response: WatchResponse) -> StorageError:
    if response.compact_revision:
        return Compacted(response.compact_revision)
    return Unavailable(f"the watch ended: {response.cancel_reason or 'cancelled'}")


def _batch(response: WatchResponse) -> WatchBatch:
    events = [_event(event) for event in response.events]
    return WatchBatch(events, events[-1].revision if events else response.revision)


def _event(event: Event) -> StorageEvent:
    value = event.kv.value if event.type is EventType.PUT else None
    previous = event.prev_kv.value if event.prev_kv else None
    return StorageEvent(event.kv.key.decode(), event.kv.mod_revision, value, previous)


def _stored(kv: KeyValue) -> Stored:
    return Stored(kv.key.decode(), kv.value, kv.mod_revision)


def prefix_end(prefix: str) -> bytes:
    """The first key behind all keys with the prefix. Keys are valid UTF-8, so the last byte is below 0xff."""
    encoded = prefix.encode()
    return encoded[:-1] + bytes([encoded[-1] + 1])


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, repeated while the store has no leader. Raises `StorageError`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await attempt()
        except (store.NoLeader, store.LeaderChanged, store.RequestTimeout) as error:
            if loop.time() + RETRY_SECONDS > deadline:
                raise translated(error) from error
        except store.StoreError as error:
            raise translated(error) from error
        except TimeoutError as error:
            raise Unavailable("the store did not answer in time: it has no quorum") from error
        await asyncio.sleep(RETRY_SECONDS)


def translated(error: store.StoreError) -> StorageError:
    """The one place where the store's errors become the API server's."""
    if isinstance(error, store.Compacted):
        return Compacted(error.compact_revision)
    if isinstance(error, store.Unavailable):
        return Unavailable(str(error))
    return StorageError(str(error))
