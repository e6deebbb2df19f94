"""Watch responses as bytes: the same as protobuf's own, whoever shares them; and streams that lose their leader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import NoLeader, NotSupportedForLearner
from kvstore.member import Member
from kvstore.mvcc.store import Mvcc
from kvstore.rpc import convert
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.rpc.watch import REMEMBERED_BYTES, Frames, Watch
from kvstore.types import Event, EventType, KeyValue, ResponseHeader, WatchResponse
from kvstore.watch.hub import WatchHub
from kvstore.watch.stream import WatchStream
from tests.support.virtual_time import run_virtual
from tests.unit.kvstore.fakes import MemoryBackend

LIMIT = 1000


class Feed:
    """A watch stream that says nothing until it is closed."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def close(self) -> None:
        self._closed.set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await self._closed.wait()
        raise StopAsyncIteration


class FakeMember:
    """`leader_id` and `learner` are what the test wants them to be."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(max_request_bytes=LIMIT - (512 << 10), election_timeout=1.0)
        self.leader_id: int | None = 7
        self.learner = False

    def header(self, revision: int = 0) -> ResponseHeader:
        return ResponseHeader(1 << 63, 5, revision or 99, 3)

    def watch(self) -> Feed:
        return Feed()

    def require_voter(self) -> None:
        if self.learner:
            raise NotSupportedForLearner

    def require_leader(self) -> None:
        if self.leader_id is None:
            raise NoLeader


KVS = st.builds(
    KeyValue,
    st.binary(min_size=1, max_size=5),
    st.binary(max_size=400),
    st.integers(0, 9),
    st.integers(1, 1 << 40),
    st.integers(0, 9),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
EVENTS = st.lists(st.builds(Event, st.sampled_from(EventType), KVS, st.none() | KVS), min_size=1, max_size=6)


def parsed(frames: list[bytes]) -> list[pb.WatchResponse]:
    return [pb.WatchResponse.FromString(frame) for frame in frames]


@given(EVENTS, st.integers(-1, 1 << 33), st.integers(1, 1 << 40))
def test_spliced_bytes_are_what_protobuf_would_write(
    events: list[Event], watch_id: int, revision: int
) -> None:
    frames = Frames(cast(Member, FakeMember()))
    whole = pb.WatchResponse(
        header=convert.header(ResponseHeader(1 << 63, 5, revision, 3)),
        watch_id=watch_id,
        events=map(convert.event, events),
    )
    response = WatchResponse(watch_id, revision, tuple(events))
    assert parsed(frames.frames(response, fragment=False)) == [whole]
    assert parsed(frames.frames(response, fragment=False)) == [whole]


@given(EVENTS)
def test_fragments_together_are_the_response_and_none_is_too_long(events: list[Event]) -> None:
    frames = Frames(cast(Member, FakeMember()))
    parts = parsed(frames.frames(WatchResponse(4, 9, tuple(events)), fragment=True))
    assert [event for part in parts for event in part.events] == list(map(convert.event, events))
    assert [part.fragment for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(len(part.events) == 1 or part.ByteSize() < LIMIT + 100 for part in parts)


def test_events_are_encoded_once_for_all_watchers() -> None:
    frames = Frames(cast(Member, FakeMember()))
    events = (Event(EventType.PUT, KeyValue(b"k", b"v", 1, 2, 1)),)
    first = frames._encoded(events)
    assert frames._encoded(events) is first


def test_watchers_of_one_id_share_a_response_that_nobody_changes() -> None:
    frames = Frames(cast(Member, FakeMember()))
    events = (Event(EventType.PUT, KeyValue(b"k", b"v", 1, 2, 1)),)
    one, other = WatchResponse(0, 2, events), WatchResponse(1, 2, events)
    first = list(frames.frames(one, fragment=False))
    assert list(frames.frames(one, fragment=False)) == first
    assert parsed(frames.frames(other, fragment=False))[0].watch_id == 1
    assert list(frames.frames(one, fragment=False)) == first


def test_a_reader_with_a_connection_is_given_what_comes_at_once() -> None:
    """Between two responses of one stream nothing is lost or told twice, whichever way they go."""

    async def scenario() -> None:
        mvcc = Mvcc(MemoryBackend())
        hub = WatchHub(mvcc)
        member = FakeMember()
        member.watch = lambda: WatchStream(hub)  # type: ignore[method-assign, return-value]
        member.identify_name = lambda name: None  # type: ignore[attr-defined]
        got: list[bytes] = []
        turns = iter([True, True, False, True, True])

        def push(messages: list[bytes]) -> bool:
            takes = next(turns)
            got.extend(messages if takes else [])
            return takes

        async def requests() -> AsyncIterator[pb.WatchRequest]:
            for _ in range(2):
                yield pb.WatchRequest(create_request={"key": b"k"})
            await asyncio.Event().wait()

        call = SimpleNamespace(metadata={}, token=None, common_name=None, peer="", push=push)
        responses = Watch(cast(Member, member)).frames(requests(), call)
        got += await anext(responses)
        reading = asyncio.ensure_future(anext(responses))
        await asyncio.sleep(0)
        for _ in range(4):
            mvcc.put(b"k", b"v", 0)
            hub.publish(mvcc.end())
        got += await reading  # the second revision, for which there was no room, and all behind it
        mvcc.put(b"k", b"v", 0)
        hub.publish(mvcc.end())
        seen: dict[int, list[int]] = {0: [], 1: []}
        for response in parsed(got):
            seen[response.watch_id] += [event.kv.mod_revision for event in response.events]
        assert seen == {0: [2, 3, 4, 5, 6], 1: [2, 3, 4, 5, 6]}
        await responses.aclose()  # type: ignore[attr-defined]

    run_virtual(scenario())


def test_what_is_remembered_is_bounded() -> None:
    frames = Frames(cast(Member, FakeMember()))
    for revision in range(1, 40):
        frames._encoded((Event(EventType.PUT, KeyValue(b"k", bytes(1 << 20), 1, revision, 1)),))
    assert sum(len(encoded) for _, encoded in frames._events.values()) <= REMEMBERED_BYTES


async def nothing() -> AsyncIterator[pb.WatchRequest]:
    await asyncio.Event().wait()
    yield pb.WatchRequest()


def watch(member: FakeMember, **metadata: str) -> AsyncIterator[list[bytes]]:
    call = SimpleNamespace(metadata=metadata, token=None, common_name=None, peer="")
    member.identify_name = lambda name: None  # type: ignore[attr-defined]
    return Watch(cast(Member, member)).frames(nothing(), call)


@pytest.mark.parametrize(("hasleader", "ends"), [("true", True), ("", False)])
def test_streams_that_want_a_leader_end_without_one(hasleader: str, ends: bool) -> None:
    async def main() -> None:
        member = FakeMember()
        reading = asyncio.ensure_future(anext(aiter(watch(member, hasleader=hasleader))))
        await asyncio.sleep(10.5)
        assert not reading.done()
        member.leader_id = None
        await asyncio.sleep(2.0)
        assert not reading.done()
        await asyncio.sleep(1)
        assert reading.done() == ends
        if ends:
            assert isinstance(reading.exception(), NoLeader)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    run_virtual(main())


def test_a_stream_that_wants_a_leader_is_refused_by_a_member_without_one() -> None:
    async def main() -> None:
        member = FakeMember()
        member.leader_id = None
        with pytest.raises(NoLeader):
            await anext(aiter(watch(member, hasleader="true")))

    run_virtual(main())


def test_learners_offer_no_watches() -> None:
    async def main() -> None:
        member = FakeMember()
        member.learner = True
        with pytest.raises(NotSupportedForLearner):
            await anext(aiter(watch(member)))

    run_virtual(main())
