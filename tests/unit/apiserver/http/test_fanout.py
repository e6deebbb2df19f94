"""The fan-out over the real watch cache, with connections that fill up, break and come back, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.api import codec
from apiserver.http import fanout
from apiserver.http.fanout import Audience, Hub, Piece, private, see
from apiserver.http.negotiation import PLAIN, Accepted
from apiserver.http.options import ListOptions
from apiserver.http.render import Framing
from apiserver.http.selection import Selection, select
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry, Resource
from apiserver.storage.cacher import ResourceCache, WatcherTooSlow
from apiserver.storage.memory import MemoryStorage
from tests.support.virtual_time import run_virtual

PREFIX = "/registry/configmaps/"
Seen = tuple[str, str, str]  # type, name, n


def _resource() -> Resource:
    found = Registry.default(RegistryOptions()).lookup("", "v1", "configmaps")
    assert found is not None
    return found


RESOURCE = _resource()


class World:
    """A storage, its cache and a hub."""

    def __init__(self, capacity: int) -> None:
        self.storage = MemoryStorage()
        self.cache = ResourceCache(self.storage, PREFIX, capacity)
        self.hub = Hub(self.cache)
        self._number = 0
        self.counted = 0  # events, once for each who got them

    async def write(self, name: str, namespace: str = "default", **labels: str) -> int:
        """Creates or changes an object; returns its revision."""
        self._number += 1
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        body = {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": metadata,
            "data": {"n": str(self._number)},
        }
        key = f"{PREFIX}{namespace}/{name}"
        stored, _ = await self.storage.get(key)
        if stored is None:
            return await self.storage.create(key, codec.encode(body))
        return await self.storage.update(key, codec.encode(body), stored.revision)

    async def delete(self, name: str) -> None:
        stored, _ = await self.storage.get(f"{PREFIX}default/{name}")
        if stored is not None:
            await self.storage.delete(stored.key, stored.revision)

    async def settle(self) -> None:
        """Everything written is in the cache, and every round and rest is over."""
        await self.cache.wait_current()
        await asyncio.sleep(10)


class Client:
    """A watcher without a network: `room` is how many pieces its connection takes before it is full."""

    def __init__(
        self,
        world: World,
        options: ListOptions | None = None,
        namespace: str = "",
        accepted: Accepted = PLAIN,
    ) -> None:
        self.world = world
        self.selection: Selection = select(RESOURCE, namespace, options or ListOptions())
        self.framing = Framing(RESOURCE, accepted, "Metadata")
        self.audience = Audience(self.selection.scope, self.selection.selectors, self.framing.form)
        self.position, self.since, self._epoch = world.cache.end, 0, world.cache.epoch
        self.room = 1 << 30
        self.broken = self.ended = False
        self.pieces: list[bytes] = []

    def sent(self, frames: Iterable[bytes], times: int) -> None:
        self.world.counted += times * len(list(frames))

    def catch_up(self) -> None:
        """As the handler does: reads the ring to its end, or until the connection is full, then joins."""
        while self.room > 0:
            events, end = self.world.cache.take(self.position, self._epoch, 3)
            matches, covers = self.selection.matches, self.selection.covers
            items = [see(at, e, matches) for at, e in enumerate(events, self.position) if covers(e.entry.key)]
            frames = private(self, (item for item in items if item is not None))
            self.position = end
            if frames and not self.deliver(Piece(frames)):
                return
            if len(events) < 3:
                self.world.hub.join(self, self.audience, matches)
                return

    def leave(self) -> None:
        self.world.hub.leave(self, self.audience)

    def deliver(self, piece: Piece) -> bool:
        if self.broken:
            raise OSError("broken")
        self.pieces.append(piece.chunk)
        self.room -= 1
        return self.room > 0

    def end(self) -> None:
        self.ended = True

    def documents(self) -> list[Any]:
        found = []
        for piece in self.pieces:
            size, _, rest = piece.partition(b"\r\n")
            assert len(rest) == int(size, 16) + 2
            found += [codec.decode(line) for line in rest.removesuffix(b"\r\n").splitlines()]
        return found

    def seen(self) -> list[Seen]:
        events = [(item["type"], item["object"]) for item in self.documents()]
        return [(kind, obj["metadata"]["name"], obj["data"]["n"]) for kind, obj in events]


def run(body: Callable[[World], Awaitable[None]], capacity: int = 1000) -> None:
    async def main() -> None:
        world = World(capacity)
        await world.cache.ready()
        try:
            await body(world)
        finally:
            await world.cache.close()

    run_virtual(main())


def joined(world: World, count: int) -> list[Client]:
    clients = [Client(world) for _ in range(count)]
    for client in clients:
        client.catch_up()
    return clients


def test_every_member_gets_every_event_in_order_and_the_very_same_bytes() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 130)
        for number in range(20):
            await world.write(f"c{number % 7}")
            await asyncio.sleep(0.0004 * number)
        await world.settle()
        kinds = ["ADDED"] * 7 + ["MODIFIED"] * 13
        expected = [(kind, f"c{n % 7}", str(n + 1)) for n, kind in enumerate(kinds)]
        assert all(client.seen() == expected for client in clients)
        assert world.counted == 20 * 130
        first = clients[0].pieces
        assert all(a is b for client in clients for a, b in zip(client.pieces, first, strict=True))

    run(body)


def test_a_single_event_leaves_at_once_and_a_burst_shares_a_write() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 200)
        started = asyncio.get_running_loop().time()
        await world.write("c")
        await world.cache.wait_current()
        for _ in range(10):  # turns of the event loop
            await asyncio.sleep(0)
        assert all(len(client.pieces) == 1 for client in clients)
        assert asyncio.get_running_loop().time() == started
        for _ in range(30):
            await world.write("c")
        await world.settle()
        assert all(len(client.pieces) == 2 for client in clients)
        assert all(len(client.seen()) == 31 for client in clients)

    run(body)


def test_one_turn_of_the_event_loop_writes_to_a_few() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 3 * fanout.SLICE)
        await world.write("c")
        served = [0]
        while served[-1] < len(clients):
            await asyncio.sleep(0)
            served.append(sum(len(client.pieces) for client in clients))
        assert max(b - a for a, b in pairwise(served)) <= fanout.SLICE

    run(body)


def test_a_full_connection_leaves_is_caught_up_and_holds_up_nobody() -> None:
    async def body(world: World) -> None:
        slow, quick = joined(world, 2)
        slow.room = 2
        for _ in range(6):
            await world.write("c")
            await world.settle()
        assert (len(slow.seen()), len(quick.seen())) == (2, 6)
        slow.room = 1 << 30
        slow.catch_up()
        assert slow.seen() == quick.seen()
        await world.write("c")
        await world.settle()
        assert slow.seen() == quick.seen()

    run(body)


def test_a_member_that_the_ring_has_passed_cannot_come_back() -> None:
    async def body(world: World) -> None:
        slow, quick = joined(world, 2)
        slow.room = 1
        for _ in range(20):
            await world.write("c")
            await world.settle()
        slow.room = 1
        with pytest.raises(WatcherTooSlow):
            slow.catch_up()
        assert len(quick.seen()) == 20

    run(body, capacity=4)


@pytest.mark.parametrize(
    ("options", "namespace"), [(ListOptions(label_selector="app=x"), ""), (ListOptions(), "quiet")]
)
def test_a_member_that_nothing_concerns_is_not_passed_by_the_ring(
    options: ListOptions, namespace: str
) -> None:
    """It leaves for a moment at every bookmark."""

    async def body(world: World) -> None:
        quiet = Client(world, options, namespace)
        quiet.catch_up()
        for number in range(20):
            await world.write(f"other-{number}")
            if number % 7 == 0:
                await world.settle()
        await world.cache.wait_current()
        quiet.leave()
        quiet.catch_up()
        await world.write("its", namespace or "default", app="x")
        await world.settle()
        assert [name for _, name, _ in quiet.seen()] == ["its"]

    run(body, capacity=4)


def test_a_broken_connection_is_ended_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def body(world: World) -> None:
        clients = joined(world, 5)
        clients[2].broken = True
        for _ in range(3):
            await world.write("c")
            await world.settle()
        assert [client.ended for client in clients] == [False, False, True, False, False]
        assert [len(client.seen()) for client in clients] == [3, 3, 0, 3, 3]

    with caplog.at_level(logging.CRITICAL):
        run(body)


def test_all_end_when_the_cache_is_filled_anew() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 3)
        await world.write("c")
        await world.cache.wait_current()
        world.cache._reset({}, world.storage.revision)
        await world.settle()
        assert all(client.ended and not client.pieces for client in clients)
        (late,) = joined(world, 1)
        await world.write("d")
        await world.settle()
        assert [name for _, name, _ in late.seen()] == ["d"]

    run(body)


def test_scopes_and_selectors() -> None:
    async def body(world: World) -> None:
        everything = Client(world)
        here = Client(world, namespace="default")
        one = Client(world, ListOptions(field_selector="metadata.name=a"), "default")
        other = Client(world, ListOptions(field_selector="metadata.name=a,metadata.name!=a"), "default")
        marked = Client(world, ListOptions(label_selector="s=yes"))
        for client in (everything, here, one, other, marked):
            client.catch_up()
        await world.write("a")
        await world.write("a", "kube-system")
        await world.write("b", s="yes")
        await world.write("b", s="no")
        await world.settle()
        assert [n for _, _, n in everything.seen()] == ["1", "2", "3", "4"]
        assert [n for _, _, n in here.seen()] == ["1", "3", "4"]
        assert [n for _, _, n in one.seen()] == ["1"]
        assert other.seen() == []
        assert marked.seen() == [("ADDED", "b", "3"), ("DELETED", "b", "3")]
        for client in (everything, here, one, other, marked):
            client.leave()
        await world.write("a")
        await world.settle()
        assert len(one.seen()) == 1

    run(body)


def test_what_a_client_saw_on_a_server_ahead_of_this_one_is_passed_over() -> None:
    async def body(world: World) -> None:
        ahead, level = joined(world, 2)
        ahead.since = world.storage.revision + 2
        for _ in range(4):
            await world.write("c")
        await world.settle()
        assert ahead.seen() == level.seen()[2:]

    run(body)


def test_a_table_tells_its_columns_with_the_first_event_of_each_watch() -> None:
    async def body(world: World) -> None:
        early, late = (Client(world, accepted=Accepted(transform="Table")) for _ in range(2))
        early.catch_up()
        await world.write("c")
        await world.settle()
        late.catch_up()
        await world.write("c")
        await world.write("c")
        await world.settle()
        for client in (early, late):
            columns = [item["object"]["columnDefinitions"] is not None for item in client.documents()]
            assert columns == [True, False, False]

    run(body)


def test_who_joins_while_events_wait_for_the_next_round_gets_them_once() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 100)
        for _ in range(3):  # the first leaves at once, the others wait until the rest is over
            await world.write("c")
            await world.cache.wait_current()
            await asyncio.sleep(0.001)
        late = clients[0]
        late.leave()
        late.catch_up()
        assert len(late.seen()) == 3
        await world.settle()
        assert all(client.seen() == late.seen() for client in clients)

    run(body)


def test_who_leaves_during_a_round_is_given_nothing_more() -> None:
    async def body(world: World) -> None:
        clients = joined(world, 2 * fanout.SLICE)
        await world.write("c")
        await world.cache.wait_current()
        while not clients[0].pieces:  # noqa: ASYNC110  # turn by turn
            await asyncio.sleep(0)
        assert not clients[-1].pieces
        clients[-1].leave()
        await world.settle()
        assert not clients[-1].pieces
        clients[-1].catch_up()
        assert clients[-1].seen() == clients[0].seen()

    run(body)


STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("abc")),
    st.tuples(st.just("delete"), st.sampled_from("abc")),
    st.tuples(st.just("full"), st.integers(0, 3)),
    st.tuples(st.just("catch up"), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.5])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_nothing_is_lost_doubled_or_out_of_order_whatever_happens(steps: list[tuple[str, Any]]) -> None:
    async def body(world: World) -> None:
        model, members = Client(world), joined(world, 4)
        crowd = joined(world, 60)  # so that rounds take several turns, and rests are taken
        for step, what in steps:
            match step:
                case "write":
                    await world.write(what)
                    await world.cache.wait_current()
                case "delete":
                    await world.delete(what)
                case "full":
                    members[what].room = 1
                case "catch up":
                    members[what].room = 1 << 30
                    members[what].leave()
                    members[what].catch_up()
                case "leave":
                    members[what].leave()
                case "wait":
                    await asyncio.sleep(what)
        await world.settle()
        for member in members:
            member.leave()
            member.room = 1 << 30
            member.catch_up()
        model.catch_up()
        assert all(client.seen() == model.seen() for client in [*members, *crowd])

    run(body)
