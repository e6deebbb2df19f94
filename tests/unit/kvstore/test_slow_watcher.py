"""A watcher that stops reading for a minute under 1,000 puts a second, by a clock that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstore.backend import LmdbBackend
from kvstore.mvcc.store import Mvcc
from kvstore.types import WatchCreateRequest, WatchResponse
from kvstore.watch.hub import WatchHub, weigh
from kvstore.watch.stream import BUFFER_BYTES, WatchStream
from tests.support.virtual_time import run_virtual

SECONDS = 60
BATCHES = 50
"""A second; each has `PUTS` revisions."""
PUTS = 20
ALL = WatchCreateRequest(b"k", b"l", prev_kv=True)


@pytest.fixture
def mvcc(tmp_path: Path) -> Iterator[Mvcc]:
    backend = LmdbBackend(tmp_path, 0)
    yield Mvcc(backend)
    backend.close()


async def put_for_a_minute(mvcc: Mvcc, hub: WatchHub) -> None:
    for _ in range(SECONDS * BATCHES):
        events = []
        for n in range(PUTS):
            mvcc.put(b"k%d" % n, bytes(100), 0)
            events += mvcc.end()
        hub.publish(events)
        await asyncio.sleep(1 / BATCHES)


class Reader:
    """Reads all the time; `latest` is the last revision it has seen, `count` how many events."""

    def __init__(self, hub: WatchHub) -> None:
        self.stream = WatchStream(hub)
        self.stream.create(ALL)
        self.latest = self.count = 0

    async def run(self) -> None:
        async for response in self.stream:
            for event in response.events:
                assert event.kv.mod_revision == (self.latest or 1) + 1
                self.latest = event.kv.mod_revision
                self.count += 1


def held(stream: WatchStream) -> int:
    """Bytes that unread events keep in memory."""
    return sum(weigh(response.events) for response, _ in stream._buffer)


async def minute(mvcc: Mvcc, compact_at: int = 0) -> tuple[WatchHub, WatchStream, list[Reader]]:
    hub = WatchHub(mvcc)
    stalled = WatchStream(hub)
    stalled.create(ALL)
    readers = [Reader(hub) for _ in range(5)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    writing = asyncio.create_task(put_for_a_minute(mvcc, hub))
    for _ in range(SECONDS):
        await asyncio.sleep(1 - 0.5 / BATCHES)
        assert {reader.latest for reader in readers} == {mvcc.revision}, "nobody else is slower for it"
        assert held(stalled) <= BUFFER_BYTES
        await asyncio.sleep(0.5 / BATCHES)
    await writing
    if compact_at:
        mvcc.compact_revision = compact_at
    for reader in readers:
        reader.stream.close()
    await asyncio.gather(*tasks)
    return hub, stalled, readers


async def read(stream: WatchStream, last: int) -> list[WatchResponse]:
    """Until revision `last`, or the cancellation of the watch."""
    responses: list[WatchResponse] = []
    async for response in stream:
        responses.append(response)
        if response.canceled or (response.events and response.events[-1].kv.mod_revision == last):
            return responses
    return responses


def test_it_gets_every_event_afterwards(mvcc: Mvcc) -> None:
    async def main() -> None:
        _, stalled, readers = await minute(mvcc)
        assert {reader.count for reader in readers} == {SECONDS * BATCHES * PUTS}
        responses = await read(stalled, mvcc.revision)
        revisions = [event.kv.mod_revision for response in responses for event in response.events]
        assert revisions == list(range(2, mvcc.revision + 1))
        assert held(stalled) == 0

    run_virtual(main())


def test_or_a_clean_cancellation_if_they_are_compacted(mvcc: Mvcc) -> None:
    async def main() -> None:
        _, stalled, _ = await minute(mvcc, compact_at=50_000)
        responses = await read(stalled, mvcc.revision)
        revisions = [event.kv.mod_revision for response in responses for event in response.events]
        assert revisions == list(range(2, len(revisions) + 2)), "what was buffered is still good"
        assert len(revisions) < 50_000
        assert (responses[-1].canceled, responses[-1].compact_revision) == (True, 50_000)

    run_virtual(main())


def test_who_is_far_behind_does_not_hold_up_who_is_nearly_there(mvcc: Mvcc) -> None:
    async def main() -> None:
        hub = WatchHub(mvcc)
        await put_for_a_minute(mvcc, hub)
        far, near = WatchStream(hub), WatchStream(hub)
        far.create(WatchCreateRequest(b"k", b"l", start_revision=2))
        near.create(WatchCreateRequest(b"k", b"l", start_revision=mvcc.revision))
        assert [len((await anext(near)).events) for _ in range(2)] == [0, 1]
        assert len(await read(far, mvcc.revision)) > 50

    run_virtual(main())
