"""etcdserverpb.Watch: one `kvstore.watch.stream` for each gRPC stream.

The events of a batch are the same objects for all watchers that share key range and options: they are encoded
once (`Frames`), and a watcher's response is its own few fields before those bytes; protobuf allows to join them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from functools import lru_cache

from kvstore.errors import NoLeader, StoreError
from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials, leader_lost, pusher, wants_leader
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import NO_HEADER, Event, WatchResponse
from kvstore.watch.stream import ALL_WATCHES, WatchStream

REMEMBERED = 64
"""Batches of events whose bytes are kept for watchers that get them, too, and..."""
REMEMBERED_BYTES = 8 << 20
"""...how many bytes these may be."""
_FRAGMENT_SLACK = 512 << 10
_FRAGMENT = pb.WatchResponse(fragment=True).SerializeToString()


class Frames:
    """Encoded watch responses. `limit`: bytes above which a response is sent in fragments, if asked for."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.limit = member.config.max_request_bytes + _FRAGMENT_SLACK
        self._events: OrderedDict[int, tuple[tuple[Event, ...], bytes]] = OrderedDict()
        self._size = 0
        self._header, self._header_bytes = NO_HEADER, b""
        self._last: WatchResponse | None = None
        self._last_frames: list[bytes] = []

    def frames(self, response: WatchResponse, *, fragment: bool) -> list[bytes]:
        events = response.events
        if response is self._last and not fragment:
            return self._last_frames  # of the watcher before this one, of another stream
        if not events:
            return [self._bare(response)]
        encoded = self._encoded(events)
        if not fragment or len(events) < 2 or len(encoded) < self.limit:
            self._last, self._last_frames = response, [self._head(response) + encoded]
            return self._last_frames
        return self._fragments(response)

    def _bare(self, response: WatchResponse) -> bytes:
        """One without events."""
        header = convert.header(self._member.header())
        header.revision = response.revision
        message = pb.WatchResponse(
            header=header,
            watch_id=response.watch_id,
            created=response.created,
            canceled=response.canceled,
            compact_revision=response.compact_revision,
            cancel_reason=response.cancel_reason,
        )
        return message.SerializeToString()

    def _head(self, response: WatchResponse) -> bytes:
        """All of one with events but these: header and watch id."""
        header = self._member.header(response.revision)
        if header != self._header:
            self._header = header
            self._header_bytes = pb.WatchResponse(header=convert.header(header)).SerializeToString()
        return self._header_bytes + _watch_id(response.watch_id)

    def _encoded(self, events: tuple[Event, ...]) -> bytes:
        remembered = self._events.get(id(events))
        if remembered is not None:
            return remembered[1]
        encoded = encode(events)
        self._events[id(events)] = (events, encoded)  # held, so that its id stays its own
        self._size += len(encoded)
        while self._size > REMEMBERED_BYTES or len(self._events) > REMEMBERED:
            self._size -= len(self._events.popitem(last=False)[1][1])
        return encoded

    def _fragments(self, response: WatchResponse) -> list[bytes]:
        parts: list[bytes] = [b""]
        for event in response.events:
            one = encode((event,))
            if parts[-1] and len(parts[-1]) + len(one) > self.limit:
                parts.append(b"")
            parts[-1] += one
        head = self._head(response)
        return [head + _FRAGMENT + part for part in parts[:-1]] + [head + parts[-1]]


@lru_cache(maxsize=4096)
def _watch_id(watch_id: int) -> bytes:
    return pb.WatchResponse(watch_id=watch_id).SerializeToString()


def encode(events: tuple[Event, ...]) -> bytes:
    return pb.WatchResponse(events=map(convert.event, events)).SerializeToString()


class Watch:
    """`Watch` yields messages, `frames` the same as bytes, for gRPC: all that is there at a time."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._frames = Frames(member)

    async def Watch(
        self, requests: AsyncIterator[pb.WatchRequest], call: Call
    ) -> AsyncIterator[pb.WatchResponse]:
        async for frames in self.frames(requests, call):
            for frame in frames:
                yield pb.WatchResponse.FromString(frame)

    async def frames(
        self, requests: AsyncIterator[pb.WatchRequest], call: Call
    ) -> AsyncIterator[list[bytes]]:
        stream = self._member.watch()
        session = Session(self._member, stream, call)
        reading = asyncio.create_task(session.read(requests), name="watch requests")
        guarding = asyncio.create_task(session.guard(), name="watch leader")
        fragmented, encoded = session.fragmented, self._frames.frames
        push = pusher(call)
        if push is not None:
            stream.direct = lambda response: push(encoded(response, fragment=response.watch_id in fragmented))
        try:
            async for response in stream:
                found = list(encoded(response, fragment=response.watch_id in fragmented))
                for more in stream.ready():
                    found += encoded(more, fragment=more.watch_id in fragmented)
                yield found
            for ended in (task for task in (guarding, reading) if task.done()):
                ended.result()  # raises what ended the stream, if anything did
        finally:
            stream.close()
            reading.cancel()
            guarding.cancel()
            await asyncio.gather(reading, guarding, return_exceptions=True)


class Session:
    """The requests of one stream. `fragmented`: watches whose responses may come in pieces."""

    def __init__(self, member: Member, stream: WatchStream, call: Call) -> None:
        self._member, self._stream, self._call = member, stream, call
        self.fragmented: set[int] = set()

    async def read(self, requests: AsyncIterator[pb.WatchRequest]) -> None:
        """Until the client has said all; its watches go on then. Ends the stream on an error."""
        try:
            await credentials(self._member, self._call)
            async for request in requests:
                await self._handle(request)
        except StoreError:
            self._stream.close()
            raise

    async def guard(self) -> None:
        """Ends the stream of a client that would rather be told than wait for a leader."""
        if wants_leader(self._call):
            await leader_lost(self._member)
            self._stream.close()
            raise NoLeader

    async def _handle(self, request: pb.WatchRequest) -> None:
        match request.WhichOneof("request_union"):
            case "create_request":
                await self._create(request.create_request)
            case "cancel_request":
                self.fragmented.discard(request.cancel_request.watch_id)
                self._stream.cancel(request.cancel_request.watch_id)
            case "progress_request":
                self._stream.request_progress()

    async def _create(self, message: pb.WatchCreateRequest) -> None:
        request = convert.watch_request(message)
        watch_id = self._stream.create(request, await credentials(self._member, self._call))
        if request.fragment and watch_id != ALL_WATCHES:
            self.fragmented.add(watch_id)
