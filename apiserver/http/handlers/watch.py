"""Watches: a stream of JSON lines from the watch cache.

A watcher takes a position in the cache's ring and reads from there on to the ring's end. Then it joins the fan-out
(`http.fanout`), which writes every later event straight to its connection, together with those of all other watchers;
its own task sleeps. When the connection is full the watcher leaves the fan-out, waits until there is room, and reads
from the ring again. It ends at its timeout, when it falls off the ring, when the cache starts over, when its client is
gone, or when the server stops.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.http import media, negotiation, responders
from apiserver.http.fanout import Audience, Outlet, Piece, private, see
from apiserver.http.handlers.answer import include_object
from apiserver.http.negotiation import PLAIN
from apiserver.http.options import ListOptions, list_options, revision
from apiserver.http.render import Framing
from apiserver.http.scope import Exchange
from apiserver.http.selection import Selection, select
from apiserver.storage.cacher import CacheReset, NotYet, ResourceCache, TooOld, WatcherTooSlow
from apiserver.storage.entry import CacheEvent, Entry

_BOOKMARK_EVERY: Final = 60.0
_BOOKMARK_BEFORE_END: Final = 2.0
_WRITE_TIMEOUT: Final = 60.0
_CHUNK_EVENTS: Final = 64
_WRITE_BUFFER: Final = 64 * 1024  # what a client that does not read may cost
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
    watcher = (exchange.watcher or Watcher)(exchange, options, selection, cache)
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
    exchange.begun(response.status)
    try:
        if failure is not None:
            await response.write(watcher.framing.raw("ERROR", codec.dumps(failure.status())))
        else:
            await watcher.run(writer)
        await response.write_eof()
    except TimeoutError:
        _cut(exchange)
    except ConnectionError:
        exchange.request.protocol.force_close()
    finally:
        watcher.close()
    return response


def _cut(exchange: Exchange) -> None:
    """Whoever does not read would never read the end either: a close would wait for it, and keep what is unsent."""
    transport = exchange.request.transport
    if transport is not None:
        transport.abort()
    exchange.request.protocol.force_close()


def _too_large(exc: NotYet) -> StatusError:
    return errors.too_large_resource_version(exc.current, exc.asked)


class Watcher:
    """A :class:`apiserver.http.fanout.Member`."""

    def __init__(
        self, exchange: Exchange, options: ListOptions, selection: Selection, cache: ResourceCache
    ) -> None:
        self._exchange = exchange
        self._options = options
        self._selection = selection
        self._cache = cache
        self.framing = Framing(exchange.resource, exchange.accepted or PLAIN, include_object(exchange))
        self.position = self.since = 0
        self._audience = Audience(selection.scope, selection.selectors, self.framing.form)
        self._hub = exchange.services.fanout.of(cache)
        gvr, metrics = exchange.resource.gvr, exchange.services.metrics
        self._observe = metrics.event_sizes.of((gvr.group, gvr.version, gvr.resource)).observe
        self._backlog: list[bytes] = []  # events before the ring
        self._initial: list[Entry] = []  # what is there at the beginning
        self._tells_end = False
        self._epoch = 0
        self._outlet = cast(Outlet, exchange.request.protocol)
        self._joined = False
        self._over = False
        self._least = 0  # the client has seen everything up to here, perhaps from a server that was ahead
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
            if since < (oldest := cache.oldest):
                past = await cache.history(since, self._selection.prefix)
                self._backlog = self._frames(0, past)
                since = oldest
            self._stand_at(since)
            return
        if options.resource_version and options.send_initial_events is None:
            await cache.ready()
        elif since:
            await cache.wait_until(since)
        else:
            await cache.wait_current()
        self._stand_at(cache.revision)
        if options.send_initial_events is not False:
            self._initial, _ = self._selection.page(cache, "", 0)
        self._tells_end = bool(options.send_initial_events) and options.bookmarks

    def _stand_at(self, since: int) -> None:
        self.position, self._epoch = self._cache.position(since), self._cache.epoch
        self._least, self.since = since, since if since > self._cache.revision else 0

    async def run(self, writer: AbstractStreamWriter) -> None:
        """Returns when the watch is over. Raises ConnectionError, and TimeoutError if the client does not read."""
        stopping, loop = self._exchange.services.stopping, asyncio.get_running_loop()
        stopping.tell(self._wake.set)
        self._outlet.when_lost = self.end
        end = loop.time() + self._seconds
        bookmark_at = self._next_bookmark(loop.time(), end)
        if (transport := self._exchange.request.transport) is not None:
            transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        await self._write_beginning(writer)
        while not (self._over or stopping):
            await self._catch_up(writer)
            if (now := loop.time()) >= bookmark_at:
                await self._write_bookmark(writer)
                bookmark_at = self._next_bookmark(now, end)
            elif now >= end:
                break
            else:
                await self._wait(min(end, bookmark_at) - now)
        self._finish()

    async def _write_beginning(self, writer: AbstractStreamWriter) -> None:
        """Some objects in each turn of the event loop, as fast as the connection takes them."""
        revision, frames = self._least, self._backlog
        entries = await self._selection.filtered(self._initial)
        gvr = self._exchange.resource.gvr
        self._exchange.services.metrics.init_events[gvr.group, gvr.resource] += len(entries)
        self._backlog, self._initial = [], []
        stopping = self._exchange.services.stopping
        for first in range(0, len(entries), _CHUNK_EVENTS):
            if self._over or stopping:
                return
            frames += [self._added(entry) for entry in entries[first : first + _CHUNK_EVENTS]]
            await self._write(writer, frames)
            frames = []
        if self._tells_end:
            frames.append(self._bookmark(revision, _END_OF_INITIAL))
        await self._write(writer, frames)

    async def _write(self, writer: AbstractStreamWriter, frames: list[bytes]) -> None:
        if frames and not self._over:
            self.deliver(Piece(frames))
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await writer.drain()
            await asyncio.sleep(0)

    def close(self) -> None:
        self._leave()
        self._outlet.when_lost = None
        self._exchange.services.stopping.forget(self._wake.set)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()

    async def _catch_up(self, writer: AbstractStreamWriter) -> None:
        """Until everything in the ring is written; from then on events come by the fan-out."""
        self._wake.clear()
        while not (self._joined or self._over):
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await writer.drain()
            if self._read_ring():
                self._hub.join(self, self._audience, self._selection.matches)
                self._joined = True
            else:
                await asyncio.sleep(0)

    def _read_ring(self) -> bool:
        """Writes some of the next events; True when there are no more and the connection takes others."""
        try:
            events, end = self._cache.take(self.position, self._epoch, _CHUNK_EVENTS)
        except (WatcherTooSlow, CacheReset):
            self.end()
            return False
        frames = self._frames(self.position, events)
        self.position = end
        flows = not frames or self.deliver(Piece(frames))
        return flows and len(events) < _CHUNK_EVENTS

    async def _write_bookmark(self, writer: AbstractStreamWriter) -> None:
        """Behind every event up to the revision that it tells."""
        await self._cache.refresh()
        self._leave()
        await self._catch_up(writer)
        if self._over:
            return
        bookmark = self._bookmark(max(self._cache.revision, self._least))
        if not self.deliver(Piece([bookmark])):
            self._leave()

    def _finish(self) -> None:
        """Write what the fan-out has not given out yet, as far as the connection takes it."""
        flows = self._joined
        self._leave()
        while flows and not (self._read_ring() or self._over):
            flows = not self._outlet.writing_paused

    def deliver(self, piece: Piece) -> bool:
        transport = self._exchange.request.transport
        if transport is None or transport.is_closing():
            self.end()
            return False
        self._outlet.give(piece)
        if self._outlet.writing_paused:
            self._joined = False
            self._wake.set()
            return False
        return True

    def sent(self, frames: Iterable[bytes], times: int) -> None:
        for frame in frames:
            self._observe(len(frame), times)

    def deliver_frames(self, frames: list[bytes]) -> None:
        self.deliver(Piece(frames))

    def end(self) -> None:
        self._joined, self._over = False, True
        self._wake.set()

    def _leave(self) -> None:
        self._hub.leave(self, self._audience)
        self._joined = False

    def _next_bookmark(self, now: float, end: float) -> float:
        """Every minute, and once shortly before the end."""
        if not self._options.bookmarks:
            return float("inf")
        last = end - _BOOKMARK_BEFORE_END
        return min(now + _BOOKMARK_EVERY, last) if now < last else float("inf")

    def _frames(self, position: int, events: list[CacheEvent]) -> list[bytes]:
        """Of events in the ring from ``position`` on, or before it."""
        covers, matches = self._selection.covers, self._selection.matches
        items = (
            see(at, event, matches) for at, event in enumerate(events, position) if covers(event.entry.key)
        )
        return private(self, (item for item in items if item is not None))

    def _added(self, entry: Entry) -> bytes:
        frame = self.framing.make("ADDED", entry)
        self._observe(len(frame))
        self.framing.once()
        return frame

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        """An object of the kind, as empty as Go writes it, that tells a version."""
        gvk = self._exchange.resource.gvk
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        empty = {"kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": metadata}
        obj, _ = self._exchange.services.schemas.check(gvk, empty)
        return self.framing.bookmark(obj)
