"""One suite for every implementation of `apiserver.storage.interface.Storage`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from apiserver.storage.embedded import EmbeddedStorage
from apiserver.storage.encryption.configuration import GroupResource
from apiserver.storage.encryption.providers import load
from apiserver.storage.encryption.storage import EncryptedStorage, Owners
from apiserver.storage.etcd import EtcdStorage
from apiserver.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    RevisionMismatch,
    Storage,
    StorageWatch,
    WatchBatch,
)
from apiserver.storage.memory import MemoryStorage
from kvstore.client import Client
from kvstore.config import MemberConfig
from kvstore.member import Member
from kvstore.types import DeleteRangeRequest
from tests.support.kvstore_cluster import KVSTORE, Cluster
from tests.support.tools import require_tool
from tests.unit.apiserver.storage.encryption.files import provider, secrets

LIMIT = 10
Test = Callable[[Storage], Awaitable[None]]
Opener = Callable[[], AbstractAsyncContextManager[Storage]]


@pytest.fixture(scope="module")
def kvstore_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three members of ours, in processes of their own."""
    with Cluster(KVSTORE, tmp_path_factory.mktemp("kvstore"), flags=("--unsafe-no-fsync",)) as cluster:
        yield cluster.endpoints


@pytest.fixture(scope="module")
def etcd_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three members of the real etcd."""
    with Cluster((require_tool("etcd"),), tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster.endpoints


class _Secrets(Owners):
    """Every key is a Secret's."""

    def of(self, key: str) -> GroupResource | None:
        return GroupResource("", "secrets")


@pytest.fixture(params=["memory", "encrypted", "embedded", "kvstore", "etcd"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def memory() -> AsyncIterator[Storage]:
        yield MemoryStorage()

    @asynccontextmanager
    async def encrypted() -> AsyncIterator[Storage]:
        yield EncryptedStorage(MemoryStorage(), _Secrets({}), load(secrets(provider("aesgcm", "k"))))

    @asynccontextmanager
    async def embedded() -> AsyncIterator[Storage]:
        member = Member(MemberConfig("m", tmp_path, {"m": ("127.0.0.1", 0)}))
        await member.start()
        try:
            await member.wait_leader(LIMIT)
            yield EmbeddedStorage(member)
        finally:
            await member.stop()

    @asynccontextmanager
    async def remote() -> AsyncIterator[Storage]:
        client = Client(request.getfixturevalue(f"{request.param}_endpoints"))
        try:
            await client.delete_range(DeleteRangeRequest(b"\0", b"\0"))
            yield EtcdStorage(client)
        finally:
            await client.close()

    if request.param in ("kvstore", "etcd"):
        request.getfixturevalue(f"{request.param}_endpoints")  # started here, not inside the event loop
        return remote
    return {"memory": memory, "encrypted": encrypted, "embedded": embedded}[request.param]


@pytest.fixture
def run(opener: Opener) -> Callable[[Test], None]:
    """Runs the body of a test on a fresh storage."""

    def runner(body: Test) -> None:
        async def main() -> None:
            async with asyncio.timeout(LIMIT * 2), opener() as storage:
                await body(storage)

        asyncio.run(main())

    return runner


Run = Callable[[Test], None]


def test_create_get_update_delete(run: Run) -> None:
    async def body(storage: Storage) -> None:
        created = await storage.create("/r/a", b"1")
        stored, revision = await storage.get("/r/a")
        assert stored is not None
        assert (stored.key, stored.value, stored.revision) == ("/r/a", b"1", created)
        assert revision >= created
        updated = await storage.update("/r/a", b"2", created)
        assert updated > created
        deleted = await storage.delete("/r/a", updated)
        assert deleted > updated
        assert (await storage.get("/r/a"))[0] is None
        assert await storage.current_revision() == deleted

    run(body)


def test_conditions_are_checked_and_the_loser_sees_what_is_stored(run: Run) -> None:
    async def body(storage: Storage) -> None:
        created = await storage.create("/r/a", b"1")
        with pytest.raises(KeyExists):
            await storage.create("/r/a", b"x")
        with pytest.raises(RevisionMismatch) as lost:
            await storage.update("/r/a", b"x", created + 1)
        assert lost.value.current is not None
        assert (lost.value.current.value, lost.value.current.revision) == (b"1", created)
        with pytest.raises(RevisionMismatch):
            await storage.delete("/r/a", created + 1)
        with pytest.raises(RevisionMismatch) as gone:
            await storage.update("/r/none", b"x", 5)
        assert gone.value.current is None
        with pytest.raises(RevisionMismatch):
            await storage.delete("/r/none", 5)

    run(body)


def test_list_pages_of_one_snapshot(run: Run) -> None:
    async def body(storage: Storage) -> None:
        for name in "abcde":
            await storage.create(f"/r/{name}", name.encode())
        await storage.create("/rr/x", b"other prefix")
        whole = await storage.list("/r/")
        assert [item.value for item in whole.items] == [b"a", b"b", b"c", b"d", b"e"]
        assert (whole.more, whole.remaining) == (False, 0)
        page = await storage.list("/r/", limit=2)
        assert [item.key for item in page.items] == ["/r/a", "/r/b"]
        assert (page.more, page.remaining) == (True, 3)
        await storage.delete("/r/d", whole.items[3].revision)
        rest = await storage.list("/r/", start="/r/b\0", revision=page.revision)
        assert [item.key for item in rest.items] == ["/r/c", "/r/d", "/r/e"]
        assert rest.revision == page.revision

    run(body)


def test_future_and_compacted_revisions(run: Run) -> None:
    async def body(storage: Storage) -> None:
        first = await storage.create("/r/a", b"1")
        second = await storage.update("/r/a", b"2", first)
        with pytest.raises(FutureRevision):
            await storage.list("/r/", revision=second + 100)
        with pytest.raises(FutureRevision):
            await storage.get("/r/a", min_revision=second + 100)
        await storage.compact(second)
        await storage.compact(second)
        with pytest.raises(Compacted):
            await storage.list("/r/", revision=first)
        with pytest.raises(Compacted):
            async with storage.watch("/r/", first) as watch:
                await next_batch(watch)

    run(body)


async def next_batch(watch: StorageWatch) -> WatchBatch:
    async with asyncio.timeout(LIMIT):
        return await anext(aiter(watch))


async def events(watch: StorageWatch, count: int) -> list[tuple[str, bytes | None, bytes | None]]:
    """The next so many events as (key, value, previous); revisions are checked to rise."""
    found: list[tuple[str, bytes | None, bytes | None]] = []
    revisions = []
    async with asyncio.timeout(LIMIT):
        async for batch in watch:
            found += [(e.key, e.value, e.previous) for e in batch.events]
            revisions += [e.revision for e in batch.events]
            if len(found) >= count:
                break
    assert revisions == sorted(set(revisions))
    return found


def test_watch_from_now_and_from_the_past(run: Run) -> None:
    async def body(storage: Storage) -> None:
        first = await storage.create("/r/a", b"1")
        async with storage.watch("/r/", first + 1) as live, storage.watch("/r/", first) as past:
            second = await storage.update("/r/a", b"2", first)
            await storage.create("/other", b"x")
            await storage.delete("/r/a", second)
            changes = [("/r/a", b"2", b"1"), ("/r/a", None, b"2")]
            assert await events(live, 2) == changes
            assert await events(past, 3) == [("/r/a", b"1", None), *changes]

    run(body)


def test_progress_tells_how_far_an_idle_watch_is(run: Run) -> None:
    async def body(storage: Storage) -> None:
        revision = await storage.create("/r/a", b"1")
        async with storage.watch("/r/", revision + 1) as watch:
            latest = await storage.create("/other", b"x")
            watch.request_progress()
            batch = await next_batch(watch)
            assert (batch.events, batch.revision) == ([], latest)

    run(body)


def test_time_to_live_ends(run: Run) -> None:
    async def body(storage: Storage) -> None:
        revision = await storage.create("/r/a", b"1", ttl=1)
        async with storage.watch("/r/", revision + 1) as watch:
            assert await events(watch, 1) == [("/r/a", None, b"1")]
        assert (await storage.get("/r/a"))[0] is None

    run(body)


def test_concurrent_writers_lose_no_update(run: Run) -> None:
    async def body(storage: Storage) -> None:
        await storage.create("/r/n", b"0")

        async def increment() -> None:
            stored, _ = await storage.get("/r/n")
            while True:
                assert stored is not None
                try:
                    await storage.update("/r/n", b"%d" % (int(stored.value) + 1), stored.revision)
                except RevisionMismatch as lost:
                    stored = lost.current
                else:
                    return

        await asyncio.gather(*(increment() for _ in range(20)))
        stored, _ = await storage.get("/r/n")
        assert stored is not None
        assert stored.value == b"20"

    run(body)
