"""The storage contract, on the fake in memory and on the embedded store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from apiserver.storage.embedded import EmbeddedStorage
from apiserver.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    RevisionMismatch,
    Storage,
    StorageEvent,
    StorageWatch,
)
from apiserver.storage.memory import MemoryStorage
from kvstore.member import Member, MemberConfig

Open = Callable[[], AbstractAsyncContextManager[Storage]]
A, B, C = "/registry/things/n/a", "/registry/things/n/b", "/registry/things/o/c"


@asynccontextmanager
async def _memory() -> AsyncIterator[Storage]:
    yield MemoryStorage()


@asynccontextmanager
async def _embedded(path: Path) -> AsyncIterator[Storage]:
    config = MemberConfig(
        "one",
        path,
        {"one": ("127.0.0.1", 0)},
        unsafe_no_fsync=True,
        heartbeat_interval=0.02,
        election_timeout=0.1,
    )
    member = Member(config)
    await member.start()
    try:
        await member.wait_leader(10.0)
        yield EmbeddedStorage(member)
    finally:
        await member.stop()


@pytest.fixture(params=["memory", "embedded"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return _memory if request.param == "memory" else lambda: _embedded(tmp_path / "data")


def run(opened: Open, body: Callable[[Storage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), opened() as storage:
            await body(storage)

    asyncio.run(main())


async def take(watch: StorageWatch, count: int) -> list[StorageEvent]:
    found: list[StorageEvent] = []
    async for batch in watch:
        found.extend(batch.events)
        if len(found) >= count:
            break
    return found


def test_create_get_update_delete(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        assert (await storage.get(A))[0] is None
        created = await storage.create(A, b"1")
        stored, at = await storage.get(A)
        assert stored is not None
        assert (stored.key, stored.value, stored.revision) == (A, b"1", created)
        assert at >= created
        updated = await storage.update(A, b"2", created)
        assert updated > created
        deleted = await storage.delete(A, updated)
        assert deleted > updated
        assert (await storage.get(A))[0] is None

    run(opened, body)


def test_create_refuses_a_key_that_exists(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        await storage.create(A, b"1")
        with pytest.raises(KeyExists):
            await storage.create(A, b"2")
        stored, _ = await storage.get(A)
        assert stored is not None
        assert stored.value == b"1"

    run(opened, body)


def test_a_lost_race_shows_what_won(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        first = await storage.create(A, b"1")
        second = await storage.update(A, b"2", first)
        for attempt in (storage.update(A, b"3", first), storage.delete(A, first)):
            with pytest.raises(RevisionMismatch) as caught:
                await attempt
            assert caught.value.current is not None
            assert (caught.value.current.value, caught.value.current.revision) == (b"2", second)
        await storage.delete(A, second)
        with pytest.raises(RevisionMismatch) as caught:
            await storage.update(A, b"4", second)
        assert caught.value.current is None

    run(opened, body)


def test_list_is_ordered_bounded_and_at_a_revision(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        at = 0
        for key in (C, A, B):
            at = await storage.create(key, key.encode())
        await storage.create("/registry/thingsother/x", b"")
        await storage.delete(B, at)
        now = await storage.list("/registry/things/")
        assert [item.key for item in now.items] == [A, C]
        then = await storage.list("/registry/things/", revision=at)
        assert [item.key for item in then.items] == [A, B, C]
        assert then.revision == at
        page = await storage.list("/registry/things/", limit=1)
        assert ([item.key for item in page.items], page.more, page.remaining) == ([A], True, 1)
        rest = await storage.list("/registry/things/", start=A + "\0")
        assert [item.key for item in rest.items] == [C]

    run(opened, body)


def test_revisions_of_the_future_and_the_forgotten_past(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        old = await storage.create(A, b"1")
        new = await storage.update(A, b"2", old)
        with pytest.raises(FutureRevision):
            await storage.list("/registry/", revision=new + 1000)
        with pytest.raises(FutureRevision):
            await storage.get(A, min_revision=new + 1000)
        await storage.compact(new)
        await storage.compact(old)
        with pytest.raises(Compacted):
            await storage.list("/registry/", revision=old)
        with pytest.raises(Compacted):
            async with storage.watch("/registry/", old) as watch:
                await take(watch, 1)
        assert [item.value for item in (await storage.list("/registry/", revision=new)).items] == [b"2"]

    run(opened, body)


def test_watch_replays_then_follows_with_previous_values(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        first = await storage.create(A, b"1")
        second = await storage.update(A, b"2", first)
        async with storage.watch("/registry/things/n/", first) as watch:
            await storage.create(C, b"elsewhere")
            third = await storage.delete(A, second)
            events = await take(watch, 3)
        assert [(e.key, e.revision, e.value, e.previous) for e in events] == [
            (A, first, b"1", None),
            (A, second, b"2", b"1"),
            (A, third, None, b"2"),
        ]

    run(opened, body)


def test_progress_covers_writes_elsewhere(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        start = await storage.current_revision()
        async with storage.watch("/registry/things/", start + 1) as watch:
            written = await storage.create("/registry/other/x", b"")
            assert await storage.current_revision() >= written
            watch.request_progress()
            async for batch in watch:
                if batch.revision >= written:
                    break

    run(opened, body)


def test_values_with_a_lifetime_can_be_written_and_renewed(opened: Open) -> None:
    async def body(storage: Storage) -> None:
        revision = await storage.create(A, b"1", ttl=60)
        await storage.update(A, b"2", revision, ttl=60)
        stored, _ = await storage.get(A)
        assert stored is not None
        assert stored.value == b"2"

    run(opened, body)
