"""Finds connections whose client is gone without a word: a silent one is pinged, and closed if it stays silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kvstore.http2.limits import Limits


class Keepalive:
    """`ping` and `abort` act on the connection; every byte that comes is `heard`. One timer, whatever the traffic."""

    def __init__(self, limits: Limits, ping: Callable[[], None], abort: Callable[[], None]) -> None:
        self._interval, self._timeout = limits.ping_interval, limits.ping_timeout
        self._ping, self._abort = ping, abort
        self._loop = asyncio.get_running_loop()
        self._heard = self._pinged = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._interval:
            self._timer = self._loop.call_later(self._interval, self._check)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def heard(self) -> None:
        self._heard = True

    def _check(self) -> None:
        if self._heard:
            self._heard = self._pinged = False
            self._timer = self._loop.call_later(self._interval, self._check)
        elif self._pinged:
            self._abort()
        else:
            self._pinged = True
            self._ping()
            self._timer = self._loop.call_later(self._timeout, self._check)
