"""A watch that is tampered with: stopped, expired, rewound or late. Put into an exchange by ``filters.faults``.

It gives out the same events as any other, but reads each of them from the ring by itself, so that they can be counted
and held back; it never joins the fan-out. Events at the beginning (what is there, what came before the ring) are not
counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from aiohttp.abc import AbstractStreamWriter

from apiserver.api import codec, errors
from apiserver.faults.rule import OfWatch, WatchDelay, WatchExpire, WatchRewind, WatchStop
from apiserver.http.handlers.watch import Watcher
from apiserver.storage.cacher import CacheReset, WatcherTooSlow
from apiserver.storage.entry import CacheEvent

_EXPIRED: Final = "The resourceVersion for the provided watch is too old (injected)."


class Arrivals:
    """When the events of a ring came. Positions are asked for in ascending order."""

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[int, float]] = deque()  # (position behind the newest, when)
        self._before = now

    def note(self, end: int, now: float) -> None:
        self._marks.append((end, now))

    def of(self, position: int) -> float:
        while self._marks and self._marks[0][0] <= position:
            self._before = self._marks.popleft()[1]
        return self._marks[0][1] if self._marks else self._before


class FaultyWatcher(Watcher):
    def __init__(self, *args: Any, action: OfWatch) -> None:
        super().__init__(*args)
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._arrivals = Arrivals(self._loop.time())
        kept = action.events if isinstance(action, WatchRewind) else 0
        self._given: deque[int] = deque(maxlen=kept)  # positions of the last events
        self._count = 0

    async def run(self, writer: AbstractStreamWriter) -> None:
        self._cache.listen(self._arrived)
        try:
            await super().run(writer)
        finally:
            self._cache.unlisten(self._arrived)

    def _arrived(self) -> None:
        if isinstance(self._action, WatchDelay):
            self._arrivals.note(self._cache.end, self._loop.time())
        self._wake.set()

    async def _catch_up(self, writer: AbstractStreamWriter) -> None:
        """Until every event in the ring is written, or the fault has ended the watch."""
        self._wake.clear()
        while not self._ends() and (taken := self._next()) is not None:
            events, end = taken
            await self._until_due()
            if self._is_over():
                return
            frames = self._frames(self.position, events)
            if frames:
                self._given.append(self.position)
                self._count += 1
            self.position = end
            await self._write(writer, frames)
            self._rewind()

    def _next(self) -> tuple[list[CacheEvent], int] | None:
        try:
            events, end = self._cache.take(self.position, self._epoch, 1)
        except (WatcherTooSlow, CacheReset):
            self.end()
            return None
        return (events, end) if events else None

    def _ends(self) -> bool:
        """Whether the watch is over, by the fault or otherwise."""
        action = self._action
        if self._is_over() or not isinstance(action, WatchStop | WatchExpire):
            return self._is_over()
        if self._count >= action.after_events:
            self._end_by(action)
        return self._is_over()

    def _is_over(self) -> bool:
        return self._over or bool(self._exchange.services.stopping)

    def _end_by(self, action: WatchStop | WatchExpire) -> None:
        if isinstance(action, WatchExpire):
            self.deliver_frames([self.framing.raw("ERROR", codec.dumps(errors.expired(_EXPIRED).status()))])
        elif action.abrupt and (transport := self._exchange.request.transport) is not None:
            transport.abort()
        self.end()

    def _rewind(self) -> None:
        action = self._action
        if isinstance(action, WatchRewind) and self._given and self._count >= action.after_events:
            self.position = self._given[0]
            self._given = deque(maxlen=0)  # once

    async def _until_due(self) -> None:
        if not isinstance(self._action, WatchDelay):
            return
        due = self._arrivals.of(self.position) + self._action.seconds
        while not self._is_over() and (left := due - self._loop.time()) > 0:
            self._wake.clear()
            await self._wait(left)
