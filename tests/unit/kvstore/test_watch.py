"""The watch hub and its streams: order, completeness, whole revisions, slow readers, compaction, progress."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.errors import Stopped
from kvstore.mvcc.store import Mvcc
from kvstore.types import FilterType, WatchCreateRequest, WatchResponse
from kvstore.watch import hub as hub_module
from kvstore.watch.hub import WatchHub
from kvstore.watch.intervals import IntervalMap
from kvstore.watch.stream import WatchStream
from tests.support.virtual_time import run_virtual
from tests.unit.kvstore.fakes import MemoryBackend

ALL = WatchCreateRequest(b"\0", b"\0")


class Store:
    def __init__(self) -> None:
        self.mvcc = Mvcc(MemoryBackend())
        self.hub = WatchHub(self.mvcc)

    def put(self, *keys: bytes, value: bytes = b"") -> None:
        """One revision with all the keys."""
        for key in keys:
            self.mvcc.put(key, value, 0)
        self.hub.publish(self.mvcc.end())


async def drain(stream: WatchStream, responses: list[WatchResponse] | None = None) -> list[WatchResponse]:
    """All that comes without anything new happening, behind what is there."""
    responses = [] if responses is None else responses
    while True:
        try:
            async with asyncio.timeout(0.01):
                responses.append(await anext(stream))
        except TimeoutError:
            return responses


def events_of(responses: list[WatchResponse], watch_id: int) -> list[tuple[int, bytes]]:
    return [(e.kv.mod_revision, e.kv.key) for r in responses if r.watch_id == watch_id for e in r.events]


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[[], None]:
    """Run an async test in virtual time."""

    def run() -> None:
        run_virtual(test())  # type: ignore[arg-type]

    run.__name__ = test.__name__
    return run


KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
RANGES = st.tuples(KEYS, st.sampled_from([b"", b"\0", b"c", b"f"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(KEYS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.just("watch"), st.tuples(RANGES, st.integers(0, 12))),
        st.tuples(st.just("read"), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(
    STEPS,
    st.sampled_from([1, 400, 1 << 20]),
    st.sampled_from([1, 3, 1000]),
    st.lists(st.booleans(), max_size=4),
)
def test_every_watch_gets_every_event_once_in_order(
    steps: list[Any], room: int, slice_events: int, takes: list[bool]
) -> None:
    """`takes`: in turns, whether the reader takes a response at once; it is never asked if that is empty."""

    async def scenario() -> None:
        store = Store()
        watches: dict[int, tuple[bytes, bytes, int]] = {}
        written: list[tuple[int, bytes]] = []
        got: list[WatchResponse] = []
        reader = WatchStream(store.hub, buffer_bytes=room)
        turns = itertools.cycle(takes)

        def take(response: WatchResponse) -> bool:
            if next(turns):
                got.append(response)
                return True
            return False

        reader.direct = take if takes else None
        for kind, argument in steps:
            if kind == "put":
                store.put(*argument)
                written += [(store.mvcc.revision, key) for key in argument]
            elif kind == "watch":
                (key, end), start = argument
                watch_id = reader.create(WatchCreateRequest(key, end, start))
                if watch_id >= 0:
                    watches[watch_id] = (key, end, start or store.mvcc.revision + 1)
            else:
                for _ in range(argument):
                    try:
                        async with asyncio.timeout(0.01):
                            got.append(await anext(reader))
                    except TimeoutError:
                        break
        await drain(reader, got)  # to which a response that is taken at once is added meanwhile
        for watch_id, (key, end, start) in watches.items():
            expected = [
                (revision, k)
                for revision, k in written
                if revision >= start and (k == key if not end else k >= key and (end == b"\0" or k < end))
            ]
            assert events_of(got, watch_id) == expected
            last = [r.events[-1].kv.mod_revision for r in got if r.watch_id == watch_id and r.events]
            assert last == sorted(set(last)), "no revision is split between responses"

    before = hub_module.SLICE_EVENTS
    hub_module.SLICE_EVENTS = slice_events
    try:
        run_virtual(scenario())
    finally:
        hub_module.SLICE_EVENTS = before


@virtual
async def test_a_reader_that_stops_costs_one_buffer_and_catches_up_later() -> None:
    store = Store()
    slow, fast = WatchStream(store.hub, buffer_bytes=10_000), WatchStream(store.hub)
    slow.create(ALL)
    fast.create(ALL)
    for n in range(500):
        store.put(b"k%03d" % n, value=bytes(500))
    assert len(slow._buffer) < 20
    assert len(events_of(await drain(fast), 0)) == 500
    assert [revision for revision, _ in events_of(await drain(slow), 0)] == list(range(2, 502))
    store.put(b"live")
    assert events_of(await drain(slow), 0) == [(502, b"live")]


@virtual
async def test_a_watch_that_is_owed_compacted_revisions_is_cancelled() -> None:
    store = Store()
    stream = WatchStream(store.hub, buffer_bytes=1)
    stream.create(ALL)
    for _ in range(5):
        store.put(b"a")
    store.mvcc.compact_revision = 5
    responses = await drain(stream)
    assert events_of(responses, 0) == [(2, b"a")]
    assert (responses[-1].canceled, responses[-1].compact_revision) == (True, 5)


@virtual
async def test_filters_and_previous_values() -> None:
    store = Store()
    stream = WatchStream(store.hub)
    stream.create(WatchCreateRequest(b"a", filters=(FilterType.NOPUT,), prev_kv=True))
    stream.create(WatchCreateRequest(b"a"))
    store.put(b"a", value=b"1")
    store.mvcc.delete_range(b"a", b"")
    store.hub.publish(store.mvcc.end())
    responses = await drain(stream)
    (deletion,) = [e for r in responses if r.watch_id == 0 for e in r.events]
    assert deletion.prev_kv is not None
    assert deletion.prev_kv.value == b"1"
    assert [e.prev_kv for r in responses if r.watch_id == 1 for e in r.events] == [None, None]


@virtual
async def test_progress_is_told_after_everything_up_to_it() -> None:
    store = Store()
    for _ in range(3):
        store.put(b"a")
    stream = WatchStream(store.hub)
    stream.create(WatchCreateRequest(b"a", start_revision=1))
    stream.request_progress()
    responses = await drain(stream)
    assert [r.watch_id for r in responses] == [0, 0, -1]
    assert responses[-1].revision == 4


@virtual
async def test_an_idle_watch_is_told_its_progress_from_time_to_time() -> None:
    store = Store()
    stream = WatchStream(store.hub, progress_interval=10)
    stream.create(WatchCreateRequest(b"a", progress_notify=True))
    assert (await anext(stream)).created
    store.put(b"elsewhere")
    response = await anext(stream)
    assert (response.watch_id, response.revision, response.events) == (0, 2, ())
    assert asyncio.get_running_loop().time() >= 10


@virtual
async def test_a_new_state_is_caught_up_with_from_its_history() -> None:
    store, later = Store(), Store()
    stream = WatchStream(store.hub)
    stream.create(ALL)
    for n in range(6):
        later.put(b"k%d" % n)
    store.hub.reset(later.mvcc)
    assert [revision for revision, _ in events_of(await drain(stream), 0)] == [2, 3, 4, 5, 6, 7]


@virtual
async def test_a_reader_that_waits_hears_of_a_new_state() -> None:
    """It was told nothing as long as no other watch of its stream was."""
    store, later = Store(), Store()
    stream = WatchStream(store.hub)
    stream.create(WatchCreateRequest(key=b"a"))
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    later.put(b"a")
    store.hub.reset(later.mvcc)
    async with asyncio.timeout(1):
        assert [event.kv.key for event in (await waiting).events] == [b"a"]


@virtual
async def test_a_closed_stream_ends_and_leaves_nothing_behind() -> None:
    store = Store()
    stream = WatchStream(store.hub)
    stream.create(ALL)
    stream.close()
    assert [r.created async for r in stream] == [True]
    assert not store.hub._synced
    other = WatchStream(store.hub)
    other.stop()
    with pytest.raises(Stopped):
        await anext(other)


BOUNDS = st.binary(max_size=2)


@given(st.lists(st.tuples(BOUNDS, BOUNDS, st.booleans()), max_size=12), st.lists(BOUNDS, min_size=1))
def test_intervals_match_as_a_list_of_ranges_does(
    changes: list[tuple[bytes, bytes, bool]], keys: list[bytes]
) -> None:
    intervals: IntervalMap[object] = IntervalMap()
    twin: list[tuple[bytes, bytes, object]] = []
    for start, end, removes in changes:
        if removes and twin:
            intervals.remove(*twin.pop(0))
        elif not end or start < end:
            twin.append((start, end, object()))
            intervals.add(*twin[-1])
    for key in keys:
        expected = {id(item) for start, end, item in twin if start <= key and (not end or key < end)}
        assert {id(item) for item in intervals.match(key)} == expected
    for entry in twin:
        intervals.remove(*entry)
    assert (intervals._bounds, intervals._cells, intervals._points) == ([b""], [()], {})
