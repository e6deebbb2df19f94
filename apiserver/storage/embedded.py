"""The storage over a member of the store in this process: the default, and the fastest.

Compare-and-swap is one transaction; lists and gets read this member's own replica, after the read index when they
must be linearizable. Store errors become storage errors here and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from apiserver.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    ListResult,
    RevisionMismatch,
    StorageEvent,
    Stored,
    Unavailable,
    WatchBatch,
)
from kvstore import errors as store
from kvstore.member import Member
from kvstore.types import (
    CompactionRequest,
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EventType,
    KeyValue,
    LeaseGrantRequest,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    WatchCreateRequest,
    WatchResponse,
)
from kvstore.watch.stream import WatchStream

_LEASE_STEP = (
    60  # leases for values of about the same lifetime are shared, as the original's lease manager does
)
_LEASE_KEYS = 1000


class _Watch:
    def __init__(self, stream: WatchStream) -> None:
        self._stream = stream

    def request_progress(self) -> None:
        self._stream.request_progress()

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        with _translated("", 0):
            async for response in self._stream:
                if response.canceled:
                    raise _canceled(response)
                if response.created:
                    continue
                yield WatchBatch([_event(e.type, e.kv, e.prev_kv) for e in response.events], _seen(response))


def _seen(response: WatchResponse) -> int:
    """Events are delivered by whole revisions: up to the last one shown, or all of a progress answer."""
    return response.events[-1].kv.mod_revision if response.events else response.revision


def _canceled(response: WatchResponse) -> Exception:
    if response.compact_revision:
        return Compacted(response.compact_revision)
    return Unavailable(response.cancel_reason or "watch canceled")


def _event(kind: EventType, kv: KeyValue, previous: KeyValue | None) -> StorageEvent:
    value = None if kind == EventType.DELETE else kv.value
    return StorageEvent(kv.key.decode(), kv.mod_revision, value, previous.value if previous else None)


class EmbeddedStorage:
    """See :class:`apiserver.storage.interface.Storage`."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._lease = (0, 0.0, 0)  # (id, expires at least then, keys attached)

    async def get(
        self, key: str, *, min_revision: int = 0, linearizable: bool = True
    ) -> tuple[Stored | None, int]:
        with _translated(key, 0):
            fresh = linearizable or min_revision > self._member.revision()
            response = await self._member.range(RangeRequest(key.encode(), serializable=not fresh))
        if min_revision > response.header.revision:
            raise FutureRevision(min_revision, response.header.revision)
        return _first(response), response.header.revision

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
        member = self._member
        fresh = linearizable or max(revision, min_revision) > member.revision()
        request = RangeRequest(
            max(prefix, start).encode(), _end(prefix), limit, revision, serializable=not fresh
        )
        with _translated(prefix, revision):
            if revision and revision > member.revision():
                current = await member.read_index()
                if revision > current:
                    raise FutureRevision(revision, current)
            response = await member.range(request)
        if min_revision > response.header.revision:
            raise FutureRevision(min_revision, response.header.revision)
        items = [Stored(kv.key.decode(), kv.value, kv.mod_revision) for kv in response.kvs]
        at = revision or response.header.revision
        return ListResult(items, at, response.more, max(0, response.count - len(items)))

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        name = key.encode()
        put = PutRequest(name, value, lease=await self._lease_for(ttl))
        absent = Compare(name, CompareTarget.MOD, mod_revision=0)
        with _translated(key, 0):
            response = await self._member.txn(TxnRequest((absent,), (put,)))
        if not response.succeeded:
            raise KeyExists(key)
        return response.header.revision

    async def update(self, key: str, value: bytes, expected_revision: int, *, ttl: int = 0) -> int:
        put = PutRequest(key.encode(), value, lease=await self._lease_for(ttl))
        return await self._swap(key, expected_revision, put)

    async def delete(self, key: str, expected_revision: int) -> int:
        return await self._swap(key, expected_revision, DeleteRangeRequest(key.encode()))

    async def _swap(self, key: str, expected_revision: int, change: RequestOp) -> int:
        name = key.encode()
        same = Compare(name, CompareTarget.MOD, mod_revision=expected_revision)
        with _translated(key, 0):
            response = await self._member.txn(TxnRequest((same,), (change,), (RangeRequest(name),)))
        if response.succeeded:
            return response.header.revision
        found = response.responses[0]
        assert isinstance(found, RangeResponse)
        raise RevisionMismatch(key, _first(found))

    async def current_revision(self) -> int:
        with _translated("", 0):
            return await self._member.read_index()

    async def compact(self, revision: int) -> None:
        try:
            with _translated("", revision):
                await self._member.compact(CompactionRequest(revision))
        except Compacted:
            return

    @asynccontextmanager
    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[_Watch]:
        if start_revision and start_revision <= self._member.compact_revision():
            raise Compacted(self._member.compact_revision())
        stream = self._member.watch()
        try:
            request = WatchCreateRequest(
                prefix.encode(), _end(prefix), start_revision, progress_notify=True, prev_kv=True
            )
            stream.create(request)
            yield _Watch(stream)
        finally:
            stream.close()

    async def _lease_for(self, ttl: int) -> int:
        """A lease that lives at least ``ttl`` seconds and at most a minute longer, shared by neighbours."""
        if not ttl:
            return 0
        import asyncio

        now = asyncio.get_running_loop().time()
        lease, until, keys = self._lease
        if now + ttl > until or keys >= _LEASE_KEYS:
            with _translated("", 0):
                granted = await self._member.lease_grant(LeaseGrantRequest(ttl + _LEASE_STEP))
            lease, until, keys = granted.id, now + ttl + _LEASE_STEP, 0
        self._lease = (lease, until, keys + 1)
        return lease


def _first(response: RangeResponse) -> Stored | None:
    if not response.kvs:
        return None
    kv = response.kvs[0]
    return Stored(kv.key.decode(), kv.value, kv.mod_revision)


def _end(prefix: str) -> bytes:
    """The first key after all keys with the prefix; prefixes here end with a slash."""
    data = prefix.encode()
    return data[:-1] + bytes([data[-1] + 1])


@contextmanager
def _translated(key: str, revision: int) -> Iterator[None]:
    try:
        yield
    except store.Compacted as exc:
        raise Compacted(exc.compact_revision) from exc
    except store.FutureRevision as exc:
        raise FutureRevision(revision, 0) from exc
    except store.StoreError as exc:
        raise Unavailable(str(exc)) from exc
