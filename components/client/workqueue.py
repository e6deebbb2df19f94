"""The rate-limited work queue between informer handlers (which add keys) and workers (which take them).

The rules are in `queuecore` and `ratelimit`; this shell adds waiting. Single event loop, not thread-safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from components.client.queuecore import QueueCore
from components.client.ratelimit import RateLimiter, default_limiter


class ShutDown(Exception):
    """The queue was shut down and is empty: the worker ends."""


class WorkQueue:
    """`clock` gives seconds; the running loop's time by default, which tests control."""

    def __init__(
        self, clock: Callable[[], float] | None = None, *, rate_limiter: RateLimiter | None = None
    ) -> None:
        self._clock = clock or _loop_time
        self._limiter = rate_limiter or default_limiter()
        self._core: QueueCore[str] = QueueCore()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._shut_down = False

    def __len__(self) -> int:
        """Keys ready to be taken."""
        return len(self._core)

    @property
    def processing(self) -> int:
        """Keys that were taken and are not done."""
        return len(self._core.processing)

    @property
    def waiting(self) -> int:
        """Keys whose time has not come: they failed, or are to be looked at again."""
        return self._core.waiting

    def add(self, key: str) -> None:
        if self._shut_down:
            return
        self._core.add(key)
        self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(key)
            return
        self._core.add_at(key, self._clock() + seconds)
        self._set_timer()

    def add_rate_limited(self, key: str) -> None:
        """Add after the key's backoff; `forget` it once it went well."""
        self.add_after(key, self._limiter.when(key, self._clock()))

    def forget(self, key: str) -> None:
        self._limiter.forget(key)

    def num_requeues(self, key: str) -> int:
        return self._limiter.num_requeues(key)

    async def get(self) -> str:
        """The next key; waits for one. Call `done` for it afterwards. Raises ShutDown."""
        while (key := self._core.take()) is None:
            if self._shut_down:
                raise ShutDown
            await self._wait_turn()
        return key

    def done(self, key: str) -> None:
        self._core.done(key)
        self._wake()

    def shut_down(self) -> None:
        """Accept no more keys; `get` still hands out what is ready, then raises ShutDown."""
        self._shut_down = True
        self._core.drop_waiting()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)

    async def _wait_turn(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if getter.done() and not getter.cancelled():
                self._wake()  # pass the turn on: another getter must see the key
            raise
        finally:
            if getter in self._getters:
                self._getters.remove(getter)

    def _wake(self) -> None:
        """Let as many waiting getters look as there are keys."""
        ready = len(self._core)
        while ready and self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                ready -= 1

    def _set_timer(self) -> None:
        due = self._core.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(due - self._clock(), 0), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._core.ripen(self._clock())
        self._wake()
        self._set_timer()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
