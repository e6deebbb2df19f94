"""One watch that outlives the member it began on.

The watch of a failed endpoint is taken up on the next one, after the last revision that was seen whole: no event
is lost and none comes twice. It ends when it is cancelled (compaction, a range that may not be read) or closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kvstore.client import convert
from kvstore.client.channels import Channels
from kvstore.errors import StoreError
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import WatchCreateRequest, WatchResponse

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 10.0
"""For how long no endpoint may answer before the watch is given up."""


class WatchStream:
    """As `kvstore.watch.stream.WatchStream`, with one watch. Iterate once."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._request: WatchCreateRequest | None = None
        self._next = 0
        self._requests: asyncio.Queue[pb.WatchRequest | None] = asyncio.Queue()
        self._closed = False
        self._announced = False

    def create(self, request: WatchCreateRequest) -> None:
        """What to watch; connected to when read."""
        self._request, self._next = request, request.start_revision

    def request_progress(self) -> None:
        self._requests.put_nowait(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))

    def close(self) -> None:
        self._closed = True
        self._requests.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[WatchResponse]:
        """Raises the store's errors."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while not self._closed:
            endpoint = self._channels.endpoint
            try:
                async for response in self._connection():
                    answered = loop.time()
                    yield response
                    if response.canceled:
                        return
            except StoreError:
                if loop.time() - answered > PATIENCE_SECONDS:
                    raise
            if not self._closed:
                self._channels.leave(endpoint)
                await asyncio.sleep(RETRY_SECONDS)

    async def _connection(self) -> AsyncIterator[WatchResponse]:
        """What one endpoint tells, until it fails."""
        assert self._request is not None, "create comes first"
        asked = self._requests
        asked.put_nowait(convert.watch_request(self._request, self._next))
        requests = self._outgoing(asked)
        stream = self._channels.stream(
            "etcdserverpb.Watch/Watch", requests, pb.WatchRequest, pb.WatchResponse
        )
        try:
            async for message in stream:
                response = convert.watch_response(message)
                if not response.created or response.canceled:
                    self._seen(response)
                elif self._again(response):
                    continue
                yield response
        finally:
            self._requests = asyncio.Queue()
            asked.put_nowait(None)

    async def _outgoing(self, queue: asyncio.Queue[pb.WatchRequest | None]) -> AsyncIterator[pb.WatchRequest]:
        """The watch comes first, whatever was asked for before it."""
        waiting: list[pb.WatchRequest] = []
        while (request := await queue.get()) is not None:
            if waiting is not None and not request.HasField("create_request"):
                waiting.append(request)
                continue
            yield request
            break
        for request in waiting:
            yield request
        while (request := await queue.get()) is not None:
            yield request

    def _again(self, response: WatchResponse) -> bool:
        """A watch "from now on" is from what it was created at; that it was created is told once."""
        self._next = self._next or response.revision + 1
        announced, self._announced = self._announced, True
        return announced

    def _seen(self, response: WatchResponse) -> None:
        if response.events and not response.fragment:
            self._next = response.events[-1].kv.mod_revision + 1
        elif not response.events and not response.canceled:
            self._next = max(self._next, response.revision + 1)
