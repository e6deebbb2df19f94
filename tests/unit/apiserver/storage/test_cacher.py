"""The watch cache over the fake storage: what lists and watchers see."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.storage import entry as entry_module
from apiserver.storage.cacher import NotYet, ResourceCache, TooOld, WatcherTooSlow
from apiserver.storage.entry import CacheEvent, Entry, list_item
from apiserver.storage.interface import ListResult, Stored
from apiserver.storage.memory import MemoryStorage

PREFIX = "/registry/things/"


def value(name: str, **labels: str) -> bytes:
    return codec.encode({"kind": "Thing", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}})


def run(body: Callable[[MemoryStorage, ResourceCache], Awaitable[None]], capacity: int = 100) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        cache = ResourceCache(storage, PREFIX, capacity)
        try:
            async with asyncio.timeout(10):
                await body(storage, cache)
        finally:
            await cache.close()

    asyncio.run(main())


def names(entries: list[Entry]) -> list[str]:
    return [entry.object()["metadata"]["name"] for entry in entries]


def test_lists_are_ordered_and_as_new_as_acknowledged_writes() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        await storage.create(PREFIX + "n/b", value("b"))
        await cache.ready()
        await storage.create(PREFIX + "m/z", value("z"))
        await storage.create(PREFIX + "n/a", value("a"))
        await storage.create("/registry/other/x", value("x"))
        assert await cache.wait_current() == storage.revision
        assert names(cache.select(PREFIX)) == ["z", "a", "b"]
        assert names(cache.select(PREFIX + "n/")) == ["a", "b"]
        assert names(cache.select(PREFIX + "n/", PREFIX + "n/a\0")) == ["b"]

    run(body)


def test_entries_carry_their_revision_and_list_items_no_kind() -> None:
    entry = Entry("k", value("a"), 7)
    assert entry.object()["metadata"]["resourceVersion"] == "7"
    assert "kind" not in codec.decode(list_item(entry.data))


def test_a_revision_that_does_not_come_is_too_large() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        with pytest.raises(NotYet):
            await cache.wait_until(storage.revision + 5, timeout=0.01)

    run(body)


def test_watchers_see_what_follows_their_revision() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        await cache.ready()
        first = await storage.create(PREFIX + "a", value("a"))
        second = await storage.update(PREFIX + "a", value("a", x="1"), first)
        await storage.delete(PREFIX + "a", second)
        await cache.wait_current()
        events, end = cache.take(cache.position(first), cache.epoch, 10)
        assert end == cache.end
        assert [event.seen_by(None)[0] for event in events] == ["MODIFIED", "DELETED"]  # type: ignore[index]
        assert events[-1].entry.object()["metadata"]["resourceVersion"] == str(second + 1)

    run(body)


def test_history_before_the_cache_began_comes_from_the_store() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        first = await storage.create(PREFIX + "a", value("a"))
        second = await storage.update(PREFIX + "a", value("a", x="1"), first)
        await cache.ready()
        with pytest.raises(TooOld):
            cache.position(first)
        past = await cache.history(first, PREFIX)
        assert [(event.revision, event.previous is not None) for event in past] == [(second, True)]
        await storage.compact(second)
        with pytest.raises(TooOld, match=rf"too old resource version: 1 \({cache.oldest}\)"):
            await cache.history(1, PREFIX)

    run(body)


def test_a_cache_starts_over_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        await storage.create(PREFIX + "a", value("a"))
        reading = storage.list

        async def unreadable(prefix: str, **options: Any) -> ListResult:
            monkeypatch.setattr(storage, "list", reading)
            raise codec.DecodeError("not one JSON value")

        monkeypatch.setattr(storage, "list", unreadable)
        await cache.ready()
        assert names(cache.select(PREFIX)) == ["a"]

    run(body)
    assert [record.getMessage() for record in caplog.records] == [f"cache of {PREFIX} starts over"]


def test_a_slow_watcher_is_dropped() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        await cache.ready()
        slow = cache.position(cache.revision)
        for number in range(20):
            await storage.create(f"{PREFIX}{number}", value(str(number)))
            await cache.wait_current()
        with pytest.raises(WatcherTooSlow):
            cache.take(slow, cache.epoch, 10)

    run(body, capacity=4)


def test_few_large_objects_are_remembered_and_many_small_ones() -> None:
    async def main() -> None:
        storage = MemoryStorage()
        cache = ResourceCache(storage, PREFIX, held=10_000)
        await cache.ready()
        begin = cache.revision
        for number in range(100):
            await storage.create(f"{PREFIX}{number}", value(str(number)))
        await cache.wait_current()
        assert cache.position(begin) == cache.end - 100
        made = [await storage.create(f"{PREFIX}x{number}", value("x" * 3_000)) for number in range(20)]
        await cache.wait_current()
        with pytest.raises(TooOld):
            cache.position(begin)
        with pytest.raises(TooOld):
            cache.position(made[10])
        assert [
            change.revision for change in cache.take(cache.position(made[-3]), cache.epoch, 10)[0]
        ] == made[-2:]
        assert len(cache.select(PREFIX)) == 120
        await cache.close()

    asyncio.run(main())


def test_filtered_watchers_see_objects_enter_and_leave() -> None:
    def matches(entry: Entry) -> bool:
        return entry.object()["metadata"]["labels"].get("s") == "yes"

    off, on = Entry("k", value("a", s="no"), 1), Entry("k", value("a", s="yes"), 2)
    enters = CacheEvent(on, off, deleted=False).seen_by(matches)
    assert enters is not None
    assert enters[0] == "ADDED"
    leaves = CacheEvent(Entry("k", value("a", s="no"), 3), on, deleted=False).seen_by(matches)
    assert leaves is not None
    assert leaves[0] == "DELETED"
    shown = leaves[1].object()["metadata"]
    assert (shown["labels"]["s"], shown["resourceVersion"]) == ("yes", "3")
    assert CacheEvent(off, None, deleted=False).seen_by(matches) is None


def test_a_frame_is_made_once_for_all_watchers() -> None:
    made = []

    def make(kind: str, entry: Entry) -> bytes:
        made.append(kind)
        return kind.encode() + entry.data

    event = CacheEvent(Entry("k", value("a"), 1), None, deleted=False)
    frames = {event.frame("ADDED", "v1", make, event.entry) for _ in range(3)}
    assert len(frames) == len(made) == 1


def test_listeners_are_told_before_anything_is_forgotten() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        await cache.ready()
        position, seen = cache.end, list[int]()

        def listener() -> None:
            nonlocal position
            events, position = cache.take(position, cache.epoch, 1 << 30)
            seen.extend(event.revision for event in events)

        cache.listen(listener)
        made = [await storage.create(f"{PREFIX}{number}", value(str(number))) for number in range(50)]
        await cache.wait_current()
        assert seen == made

    run(body, capacity=4)


def test_pages_say_what_follows_and_whether_nothing_has_changed_since() -> None:
    async def body(storage: MemoryStorage, cache: ResourceCache) -> None:
        for name in "abcde":
            await storage.create(f"{PREFIX}n/{name}", value(name))
        await cache.ready()
        first = storage.revision
        entries, rest = cache.page(PREFIX + "n/", "", 2)
        assert (names(entries), rest) == (["a", "b"], 3)
        entries, rest = cache.page(PREFIX + "n/", entries[-1].key + "\0", 3)
        assert (names(entries), rest) == (["c", "d", "e"], 0)
        assert cache.page(PREFIX + "n/", PREFIX + "n/z", 2) == ([], 0)
        await storage.create("/registry/other/x", value("x"))
        await cache.wait_current()
        assert cache.stands_at(first)
        assert cache.stands_at(storage.revision)
        assert not cache.stands_at(storage.revision + 1)
        await storage.create(f"{PREFIX}n/f", value("f"))
        await cache.wait_current()
        assert not cache.stands_at(first)

    run(body)


def test_labels_are_read_without_the_rest_and_shared() -> None:
    one, other, none = (
        Entry(key, value(key, **given), 5) for key, given in (("a", {"s": "é"}), ("b", {"s": "é"}), ("c", {}))
    )
    assert one.labels() == one.object()["metadata"]["labels"]
    assert one.labels() is other.labels()
    assert none.labels() == {}
    bare = codec.encode({"kind": "Thing", "apiVersion": "v1", "metadata": {"name": "x"}})
    assert Entry("k", bare, 5).labels() == {}


def test_parsed_forms_are_kept_of_the_youngest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [Entry(str(number), value(str(number)), 5) for number in range(10)]
    monkeypatch.setattr(entry_module, "PARSED_BYTES", 3 * len(entries[0].item))
    parsed = [entry.object() for entry in entries]
    kept = [
        entry.object() is before for entry, before in zip(reversed(entries), reversed(parsed), strict=True)
    ]
    assert kept[:3] == [True] * 3
    assert kept[-1] is False
    assert [entry.object() for entry in entries] == parsed


class Held(bytes):
    """A value that can be looked for."""


class Listing(MemoryStorage):
    """Its lists are of values that are nowhere else."""

    async def list(self, prefix: str, **more: Any) -> ListResult:
        listed = await super().list(prefix, **more)
        return replace(listed, items=[replace(item, value=Held(item.value)) for item in listed.items])


def test_a_cache_holds_each_value_once() -> None:
    async def main() -> None:
        storage = Listing()
        await storage.create(PREFIX + "a", value("a"))
        cache = ResourceCache(storage, PREFIX)
        await cache.ready()
        assert names(cache.select(PREFIX)) == ["a"]
        gc.collect()
        assert [
            item for item in gc.get_objects() if isinstance(item, Stored) and type(item.value) is Held
        ] == []
        await cache.close()

    asyncio.run(main())
