"""One watch that outlives the endpoints: after a broken stream it goes on elsewhere, behind the last revision told.

Made by `kvstore.client.client`. A stream of its own for each watch: whatever answer has no events is about this watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import grpc.aio

from kvstore.client.connections import Connections
from kvstore.client.failures import wants_new_token
from kvstore.client.messages import watch_request, watch_response
from kvstore.errors import Compacted, StoreError, Unavailable, WatchCanceled
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import WatchCreateRequest, WatchResponse

PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 1.0


class Watch:
    """Iterate for responses with events, and for progress (no events: all up to `revision` has been told).

    Iterating raises `Compacted` when the next revision is no longer kept, `WatchCanceled` or another refusal when
    the server ends the watch. That no endpoint can be reached is waited out. To be iterated by one task.
    """

    def __init__(self, connections: Connections, request: WatchCreateRequest) -> None:
        self._connections, self._request = connections, request
        self.next_revision = request.start_revision
        self._outgoing: asyncio.Queue[pb.WatchRequest] = asyncio.Queue()
        self._created = False
        self._progress_wanted = False
        self._stream: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_stream()

    def request_progress(self) -> None:
        """Ask for a progress response; it comes even if the stream breaks meanwhile."""
        self._progress_wanted = True
        if self._created:
            self._outgoing.put_nowait(_PROGRESS)

    async def __aiter__(self) -> AsyncIterator[WatchResponse]:
        failures = 0
        refused = False
        while True:
            turn = self._connections.turn
            number = turn % len(self._connections.endpoints)
            try:
                async for response in self._one_stream(number):
                    failures, refused = 0, False
                    yield response
            except Unavailable:
                pass
            except StoreError as error:
                if refused or not wants_new_token(error):
                    raise
                refused = True
                self._connections.forget_token()
                continue
            self._connections.leave(turn)
            failures += 1
            if failures > 1:
                await asyncio.sleep(min(PAUSE_SECONDS * 2 ** min(failures - 2, 8), MAX_PAUSE_SECONDS))

    async def _one_stream(self, number: int) -> AsyncIterator[WatchResponse]:
        """What is to be told of one stream; ends when that does. Raises `StoreError`."""
        await self._connections.ensure_token(number)
        self._outgoing = asyncio.Queue()
        self._outgoing.put_nowait(watch_request(self._request, self.next_revision))
        self._stream = self._connections.stream(
            number,
            "etcdserverpb.Watch/Watch",
            _drain(self._outgoing),
            pb.WatchRequest,
            pb.WatchResponse,
        )
        try:
            async for message in self._stream:
                response = watch_response(message)
                if self._tells(response):
                    yield response
        except grpc.aio.AioRpcError as error:
            raise self._connections.translated(number, error) from error
        finally:
            self._close_stream()

    def _tells(self, response: WatchResponse) -> bool:
        """Keeps account of the response. Raises the reason of a cancellation."""
        if response.canceled:
            raise _refusal(response)
        if response.created:
            self._created = True
            self.next_revision = self.next_revision or response.revision + 1
            if self._progress_wanted:
                self._outgoing.put_nowait(_PROGRESS)
            return False
        if response.events:
            self.next_revision = response.events[-1].kv.mod_revision + 1
            return True
        self._progress_wanted = False
        if response.revision < self.next_revision - 1:
            return False  # of a member that is behind the one before
        self.next_revision = response.revision + 1
        return True

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._created = False
        if stream is not None:
            stream.cancel()


_PROGRESS = pb.WatchRequest(progress_request=pb.WatchProgressRequest())


async def _drain(queue: asyncio.Queue[pb.WatchRequest]) -> AsyncIterator[pb.WatchRequest]:
    while True:
        yield await queue.get()


def _refusal(response: WatchResponse) -> StoreError:
    if response.compact_revision:
        return Compacted(response.compact_revision)
    text = response.cancel_reason
    if "permission denied" in text or "no leader" in text:
        return Unavailable(text) if "no leader" in text else WatchCanceled(text)
    return WatchCanceled(text or None)
