"""What locks and elections share: a queue of keys under one prefix, ordered by when they were created.

Each waits for its turn by a key of its own, bound to a lease so that it goes when its owner does. Source: etcd
`client/v3/concurrency/{key,mutex,election,session}.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kvstore.auth.types import Credentials
from kvstore.errors import StoreError
from kvstore.member import Member
from kvstore.types import (
    Compare,
    CompareTarget,
    EventType,
    KeyValue,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    PutRequest,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    SortOrder,
    SortTarget,
    TxnRequest,
    WatchCreateRequest,
)

SESSION_TTL = 60
"""Seconds; of the lease that a caller without one is given."""


async def lease_of(member: Member, lease: int, who: Credentials) -> int:
    """The caller's lease, or a new one for a caller that named none."""
    if lease:
        return lease
    return (await member.lease_grant(LeaseGrantRequest(SESSION_TTL), who)).id


@asynccontextmanager
async def kept_alive(member: Member, lease: int, who: Credentials) -> AsyncIterator[None]:
    """Renew the lease as long as the context lasts: its owner waits and cannot."""

    async def renew() -> None:
        while True:
            alive = await member.lease_keep_alive(LeaseKeepAliveRequest(lease), who)
            await asyncio.sleep(max(alive.ttl / 3, 0.5))

    task = asyncio.create_task(renew(), name=f"lease {lease:x}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def enqueue(
    member: Member, prefix: bytes, lease: int, value: bytes, who: Credentials
) -> tuple[bytes, KeyValue | None, int]:
    """(own key, what was there under it before, its create revision)"""
    key = b"%b%x" % (prefix, lease)
    absent = Compare(key, CompareTarget.CREATE)
    put, get = PutRequest(key, value, lease), RangeRequest(key)
    done = await member.txn(TxnRequest((absent,), (put,), (get,)), who)
    if done.succeeded:
        return key, None, done.header.revision
    found = done.responses[0]
    assert isinstance(found, RangeResponse)
    return key, found.kvs[0], found.kvs[0].create_revision


async def wait_turn(member: Member, prefix: bytes, before: int, who: Credentials) -> ResponseHeader:
    """Returns when no key under the prefix is older than `before`."""
    end = prefix_end(prefix)
    while True:
        last = RangeRequest(
            prefix,
            end,
            limit=1,
            sort_order=SortOrder.DESCEND,
            sort_target=SortTarget.CREATE,
            max_create_revision=before - 1,
        )
        found = await member.range(last, who)
        if not found.kvs:
            return found.header
        await deleted(member, found.kvs[0].key, found.header.revision + 1, who)


async def deleted(member: Member, key: bytes, since: int, who: Credentials) -> None:
    stream = member.watch()
    try:
        stream.create(WatchCreateRequest(key, start_revision=since), who)
        async for response in stream:
            if response.canceled:
                raise StoreError(response.cancel_reason or "etcdserver: watch canceled")
            if any(event.type == EventType.DELETE for event in response.events):
                return
    finally:
        stream.close()


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin so."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b"\0"
