"""One client's watches: created and cancelled by id, read as one sequence of responses.

Sits between `kvstore.watch.hub` and its readers: the API server's storage and the gRPC front-end. A reader
that finds the buffer empty lets the hub feed it from history, so catching up goes at the reader's pace.
Source: etcd `server/etcdserver/api/v3rpc/watch.go`, `server/storage/mvcc/watcher.go`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from kvstore import telemetry
from kvstore.auth.types import Credentials
from kvstore.errors import AuthOldRevision, InvalidAuthToken, PermissionDenied, Stopped, StoreError, UserEmpty
from kvstore.types import WatchCreateRequest, WatchResponse
from kvstore.watch.hub import Interest, Watcher, WatchHub

ALL_WATCHES = -1
"""As `watch_id` of a response: it speaks of the whole stream, or of a watch that could not be created."""
PROGRESS_INTERVAL = 600.0
"""Seconds after which an idle watch with `progress_notify` is told how far it is (etcd: 10 minutes)."""
BUFFER_BYTES = 2 << 20
"""What a stream holds of unread events, at most; a single response may be larger."""

Direct = Callable[[WatchResponse], bool]
"""Takes a response at once, or says that it cannot: then it is buffered for the reader."""

Permitted = Callable[[WatchCreateRequest, Credentials | None], None]
"""Raises what a caller may not watch."""

_SAID_AS_IT_IS = (InvalidAuthToken, AuthOldRevision, UserEmpty)


class WatchStream:
    """Any number of watches. Not for use by two readers at once.

    `create` and `cancel` answer in the sequence, as a `created` or `canceled` response. Iteration ends after
    `close`, or raises `Stopped` when the member stops.
    """

    direct: Direct | None = None
    """Set by a reader that can do so: spares it a wake-up for each response, of which a change that many watch has
    many. It is asked only while nothing is buffered, so the sequence stays as it is."""

    def __init__(
        self,
        hub: WatchHub,
        *,
        permitted: Permitted = lambda request, who: None,
        progress_interval: float = PROGRESS_INTERVAL,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._hub = hub
        self._permitted = permitted
        self._progress_interval = progress_interval
        self._buffer_bytes = buffer_bytes
        self._watchers: dict[int, Watcher] = {}
        self._progress_notify: dict[int, bool] = {}
        self._next_id = 0
        self._buffer: deque[tuple[WatchResponse, int]] = deque()
        self._weight = 0
        self._progress_asked = False
        self._progress_at = asyncio.get_running_loop().time() + progress_interval
        self._is_full = False
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._stopped = False

    def create(self, request: WatchCreateRequest, who: Credentials | None = None) -> int:
        """Start a watch; its id, or -1 if the sequence will say why there is none."""
        reason = self._refusal(request) or self._denial(request, who)
        if reason:
            response = WatchResponse(
                ALL_WATCHES, self._hub.published, created=True, canceled=True, cancel_reason=reason
            )
            self.push(response)
            return ALL_WATCHES
        watch_id = request.watch_id or self._free_id()
        self.push(WatchResponse(watch_id, self._hub.published, created=True))
        self._watchers[watch_id] = self._hub.add(request, watch_id, self)
        if request.progress_notify:
            self._progress_notify[watch_id] = True
        self.wake()
        return watch_id

    def cancel(self, watch_id: int) -> None:
        """End a watch. An unknown id is ignored."""
        watcher = self._watchers.pop(watch_id, None)
        if watcher is not None:
            self._hub.remove(watcher)
            self._progress_notify.pop(watch_id, None)
            self.push(WatchResponse(watch_id, self._hub.published, canceled=True))

    def request_progress(self) -> None:
        """Ask for one response that tells how far the stream is, sent once every watch is up to date."""
        self._progress_asked = True
        self._answer_progress()

    def close(self) -> None:
        """End all watches and, once the buffer is read, the iteration."""
        for watcher in self._watchers.values():
            self._hub.remove(watcher)
        self._watchers.clear()
        self._closed = True
        self.wake()

    def stop(self) -> None:
        """The member stops: as `close`, but the reader is told so."""
        self._stopped = True
        self.close()

    def __aiter__(self) -> AsyncIterator[WatchResponse]:
        return self

    async def __anext__(self) -> WatchResponse:
        if self._progress_notify:
            self._notify_progress()
        while not self._buffer:
            if self._stopped:
                raise Stopped
            if self._closed:
                raise StopAsyncIteration
            await self._fill()
        return self._take()

    def ready(self) -> Iterator[WatchResponse]:
        """What can be had without waiting."""
        while self._buffer:
            yield self._take()

    def _take(self) -> WatchResponse:
        response, weight = self._buffer.popleft()
        self._weight -= weight
        if self._is_full and self._weight <= self._buffer_bytes // 2:
            self._is_full = False
            self._hub.revive(self._watchers.values())
        return response

    # What the hub calls (`kvstore.watch.hub.Sink`).

    def offer(self, response: WatchResponse, weight: int) -> bool:
        if self._weight and self._weight + weight > self._buffer_bytes:
            self._is_full = True
            return False
        if response.watch_id in self._progress_notify:
            self._progress_notify[response.watch_id] = False
        telemetry.EVENTS.inc(by=len(response.events))
        if self._buffer or self.direct is None or not self.direct(response):
            self._append(response, weight)
        return True

    def push(self, response: WatchResponse) -> None:
        self._append(response, 0)

    def _append(self, response: WatchResponse, weight: int) -> None:
        self._buffer.append((response, weight))
        self._weight += weight
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _fill(self) -> None:
        """Make the buffer non-empty, or wait until something happens."""
        if self._is_behind():
            self._hub.sync(self._watchers.values())
            self._answer_progress()
            await asyncio.sleep(0)  # one slice at a time, so that catching up does not stall the loop
            return
        self._answer_progress()
        if self._buffer:
            return
        await self._wait()
        if self._progress_notify:
            self._notify_progress()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(self._progress_at, self.wake) if self._progress_notify else None
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _is_behind(self) -> bool:
        return self._hub.owes(self._watchers.values())

    def _has_begun(self, watcher: Watcher) -> bool:
        return watcher.next_revision <= self._hub.published + 1

    def _answer_progress(self) -> None:
        """Once nothing is owed, and no watch begins with a revision that is yet to come (etcd-io/etcd#20221)."""
        if (
            self._progress_asked
            and not self._is_behind()
            and all(map(self._has_begun, self._watchers.values()))
        ):
            self._progress_asked = False
            self.push(WatchResponse(ALL_WATCHES, self._hub.published))

    def _notify_progress(self) -> None:
        """Tell idle watches how far they are, if it is time to."""
        now = asyncio.get_running_loop().time()
        if now < self._progress_at:
            return
        for watch_id, idle in self._progress_notify.items():
            watcher = self._watchers[watch_id]
            if idle and self._hub.is_synced(watcher) and self._has_begun(watcher):
                self.push(WatchResponse(watch_id, self._hub.published))
            self._progress_notify[watch_id] = True
        self._progress_at = now + self._progress_interval

    def _refusal(self, request: WatchCreateRequest) -> str:
        if self._closed:
            return "etcdserver: watch stream is closed"
        if Interest(request).is_empty():
            return "mvcc: watcher range is empty"
        if request.watch_id and request.watch_id in self._watchers:
            return "mvcc: duplicate watch ID provided on the WatchStream"
        return ""

    def _denial(self, request: WatchCreateRequest, who: Credentials | None) -> str:
        try:
            self._permitted(request, who)
        except StoreError as error:
            return denial(error)
        return ""

    def _free_id(self) -> int:
        while self._next_id in self._watchers:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1


def denial(error: StoreError) -> str:
    """Why a watch is refused, in the words by which etcd's clients know what to do."""
    shown = error if isinstance(error, _SAID_AS_IT_IS) else PermissionDenied()
    name = shown.code.title().replace("_", "")
    return f"rpc error: code = {name} desc = {shown}"
