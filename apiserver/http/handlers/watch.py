"""Watches: a stream of JSON lines from the watch cache.

A watcher holds a position in the cache's ring and pulls; what it cannot write yet stays in the ring. It ends
at its timeout, when it falls off the ring, when the cache starts over, or when the server stops.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.api.errors import StatusError
from apiserver.http import responders
from apiserver.http.handlers.answer import include_object
from apiserver.http.negotiation import PLAIN
from apiserver.http.options import ListOptions, list_options, revision
from apiserver.http.render import frame, framer
from apiserver.http.scope import Exchange
from apiserver.http.selection import Selection, select
from apiserver.storage.cacher import CacheReset, NotYet, ResourceCache, Subscription, TooOld, WatcherTooSlow
from apiserver.storage.entry import CacheEvent

_BOOKMARK_EVERY: Final = 60.0
_BOOKMARK_BEFORE_END: Final = 2.0
_STOP_POLL: Final = 1.0
_WRITE_TIMEOUT: Final = 60.0
_END_OF_INITIAL: Final = {"k8s.io/initial-events-end": "true"}


async def handle(exchange: Exchange) -> web.StreamResponse:
    options = list_options(exchange.query)
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
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    )
    responders.add_warnings(exchange, response)
    response.enable_chunked_encoding()
    await response.prepare(exchange.request)
    try:
        if failure is not None:
            await response.write(frame("ERROR", codec.dumps(failure.status())))
        else:
            await watcher.run(response)
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        exchange.request.protocol.force_close()
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
        self._encoding, self._make = framer(exchange.resource, exchange.accepted or PLAIN, include)
        self._backlog: list[bytes] = []
        self._subscription: Subscription | None = None
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
            self._subscription = cache.subscribe(since)
            return
        if options.resource_version and options.send_initial_events is None:
            await cache.ready()
        elif since:
            await cache.wait_until(since)
        else:
            await cache.wait_current()
        if options.send_initial_events is not False:
            entries = self._selection.entries(cache)
            self._backlog.extend(self._make("ADDED", entry) for entry in entries)
        if options.send_initial_events and options.bookmarks:
            self._backlog.append(self._bookmark(_END_OF_INITIAL))
        self._subscription = cache.subscribe(cache.revision)

    async def run(self, response: web.StreamResponse) -> None:
        if self._backlog:
            await self._write(response, b"".join(self._backlog))
            self._backlog = []
        try:
            async for data in self._batches():
                await self._write(response, data)
        except (WatcherTooSlow, CacheReset):
            return

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(_WRITE_TIMEOUT):
            await response.write(data)

    async def _batches(self) -> AsyncIterator[bytes]:
        assert self._subscription is not None
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        bookmark_at = self._next_bookmark(loop.time(), end)
        while not self._exchange.services.stopping[0]:
            frames = self._frames(self._subscription.take())
            now = loop.time()
            if frames:
                yield b"".join(frames)
            if now >= bookmark_at:
                await self._cache.refresh()
                frames = self._frames(self._subscription.take())
                yield b"".join([*frames, self._bookmark({})])
                bookmark_at = self._next_bookmark(now, end)
            if now >= end:
                return
            await self._subscription.wait(max(0.0, min(end - now, bookmark_at - now, _STOP_POLL)))

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
                frames.append(event.frame(seen[0], self._encoding, self._make, seen[1]))
        return frames

    @property
    def _unfiltered(self) -> bool:
        return self._selection.matches is None and not self._selection.key

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        gvk = self._exchange.resource.gvk
        metadata: dict[str, object] = {"resourceVersion": str(self._cache.revision)}
        if annotations:
            metadata["annotations"] = annotations
        return frame(
            "BOOKMARK",
            codec.dumps({"kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": metadata}),
        )
