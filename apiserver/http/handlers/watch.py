"""Watches: a stream of JSON lines from the watch cache.

A watcher holds a position in the cache's ring. As long as its client reads, an event is written to the connection
in the callback that tells of it: with hundreds of watchers, waking a task for each would cost more than the
writing. When the connection is full, events stay in the ring and the watcher's task waits until there is room. It
ends at its timeout, when it falls off the ring, when the cache starts over, or when the server stops.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.http import media, negotiation, responders
from apiserver.http.handlers.answer import include_object
from apiserver.http.negotiation import PLAIN
from apiserver.http.options import ListOptions, list_options, revision
from apiserver.http.render import Framing
from apiserver.http.scope import Exchange
from apiserver.http.selection import Selection, select
from apiserver.storage.cacher import CacheReset, NotYet, ResourceCache, Subscription, TooOld, WatcherTooSlow
from apiserver.storage.entry import CacheEvent, Entry

_BOOKMARK_EVERY: Final = 60.0
_BOOKMARK_BEFORE_END: Final = 2.0
_WRITE_TIMEOUT: Final = 60.0
_CHUNK_EVENTS: Final = 64
_END_OF_INITIAL: Final = {"k8s.io/initial-events-end": "true"}


async def handle(exchange: Exchange) -> web.StreamResponse:
    options = list_options(exchange.query)
    accepted = exchange.accepted or PLAIN
    if not media.streams(accepted.media_type):
        types = exchange.services.media_types
        raise negotiation.not_served(tuple(f"{name};stream=watch" for name in types if media.streams(name)))
    selection = select(exchange.resource, exchange.info.namespace, options, exchange.info.name)
    cache = exchange.services.cache(exchange.resource)
    since = revision(options.resource_version)
    watcher = _Watcher(exchange, options, selection, cache)
    failure: StatusError | None = None
    try:
        await watcher.start(since)
    except (TooOld, NotYet) as exc:
        failure = errors.expired(str(exc)) if isinstance(exc, TooOld) else _too_large(exc)
    response = web.StreamResponse(
        headers={
            "Content-Type": media.stream_type(accepted.media_type),
            "Cache-Control": "no-cache, private",
        }
    )
    responders.add_warnings(exchange, response)
    response.enable_chunked_encoding()
    writer = await response.prepare(exchange.request)
    assert writer is not None
    try:
        if failure is not None:
            await response.write(watcher.framing.raw("ERROR", codec.dumps(failure.status())))
        else:
            await watcher.run(writer)
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        exchange.request.protocol.force_close()
    finally:
        watcher.close()
    return response


def _too_large(exc: NotYet) -> StatusError:
    return errors.too_large_resource_version(exc.current, exc.asked)


class _Watcher:
    def __init__(
        self, exchange: Exchange, options: ListOptions, selection: Selection, cache: ResourceCache
    ) -> None:
        self._exchange = exchange
        self._options = options
        self._selection = selection
        self._filter = selection.filter()
        self._cache = cache
        include = include_object(exchange)
        self.framing = Framing(exchange.resource, exchange.accepted or PLAIN, include)
        self._backlog: list[bytes] = []
        self._subscription: Subscription | None = None
        self._protocol = exchange.request.protocol
        self._flowing = False  # whether events are written as they come
        self._over = False
        self._wake = asyncio.Event()
        config = exchange.services.config
        self._seconds = float(
            options.timeout or random.randint(config.min_request_timeout, 2 * config.min_request_timeout)
        )

    async def start(self, since: int) -> None:
        """Takes the position in the ring and collects what comes before it."""
        cache, options = self._cache, self._options
        if since and options.send_initial_events is None:
            await cache.ready()
            if since < cache.oldest:
                past = await cache.history(since, self._selection.prefix)
                self._backlog.extend(self._frames(past))
                since = cache.oldest
            self._subscription = cache.subscribe(since, self._changed)
            return
        if options.resource_version and options.send_initial_events is None:
            await cache.ready()
        elif since:
            await cache.wait_until(since)
        else:
            await cache.wait_current()
        if options.send_initial_events is not False:
            entries = self._selection.entries(cache)
            self._backlog.extend(self._added(entry) for entry in entries)
        if options.send_initial_events and options.bookmarks:
            self._backlog.append(self._bookmark(_END_OF_INITIAL))
        self._subscription = cache.subscribe(cache.revision, self._changed)

    async def run(self, writer: AbstractStreamWriter) -> None:
        """Returns when the watch is over. Raises ConnectionError, and TimeoutError if the client does not read."""
        stopping, loop = self._exchange.services.stopping, asyncio.get_running_loop()
        stopping.tell(self._wake.set)
        end = loop.time() + self._seconds
        bookmark_at = self._next_bookmark(loop.time(), end)
        if self._backlog:
            self._write(self._backlog)
            self._backlog = []
            self._changed()  # what the ring held already: nobody else tells of it
        while not (self._over or stopping):
            await self._catch_up(writer)
            if (now := loop.time()) >= bookmark_at:
                await self._cache.refresh()
                self._changed()
                self._write([self._bookmark({})])
                bookmark_at = self._next_bookmark(now, end)
            if now >= end:
                return
            await self._wait(min(end, bookmark_at) - now)

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
        self._exchange.services.stopping.forget(self._wake.set)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()

    async def _catch_up(self, writer: AbstractStreamWriter) -> None:
        """Until the connection takes events as fast as they come."""
        self._wake.clear()
        while not (self._flowing or self._over):
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await writer.drain()
            self._flowing = True
            self._changed()

    def _changed(self) -> None:
        """Called by the cache, for every change of the resource."""
        assert self._subscription is not None
        while self._flowing and not self._over:
            try:
                events = self._subscription.take(_CHUNK_EVENTS)
            except (WatcherTooSlow, CacheReset):
                self._over = True
                self._wake.set()
                return
            if frames := self._frames(events):
                self._write(frames)
            if len(events) < _CHUNK_EVENTS:
                return

    def _write(self, frames: list[bytes]) -> None:
        """One chunk of the answer, straight to the connection."""
        transport = self._exchange.request.transport
        if transport is None or transport.is_closing():
            self._over = True
        else:
            data = b"".join(frames)
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            self._flowing = not self._protocol.writing_paused
        if self._over or not self._flowing:
            self._wake.set()

    def _next_bookmark(self, now: float, end: float) -> float:
        """Every minute, and once shortly before the end."""
        if not self._options.bookmarks:
            return float("inf")
        last = end - _BOOKMARK_BEFORE_END
        return min(now + _BOOKMARK_EVERY, last) if now < last else float("inf")

    def _frames(self, events: list[CacheEvent]) -> list[bytes]:
        frames = []
        for event in events:
            if not event.entry.key.startswith(self._selection.prefix):
                continue
            seen = event.seen_by(None if self._unfiltered else self._filter)
            if seen is not None:
                frames.append(event.frame(seen[0], self.framing.name, self.framing.make, seen[1]))
                self.framing.once()
        return frames

    def _added(self, entry: Entry) -> bytes:
        frame = self.framing.make("ADDED", entry)
        self.framing.once()
        return frame

    @property
    def _unfiltered(self) -> bool:
        return self._selection.matches is None and not self._selection.key

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        """An object of the kind, as empty as Go writes it, that tells a version."""
        gvk = self._exchange.resource.gvk
        metadata: dict[str, object] = {"resourceVersion": str(self._cache.revision)}
        if annotations:
            metadata["annotations"] = annotations
        empty = {"kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": metadata}
        obj, _ = self._exchange.services.schemas.check(gvk, empty)
        return self.framing.bookmark(obj)
