"""(P) Auto-compaction: when to compact and up to which revision (etcd's `v3compactor`).

`periodic` keeps a window of revisions, one sample every tenth of the period (at most six minutes), and
compacts to the oldest: nothing for the first period, then every period or every hour, whichever is shorter.
`revision` looks every five minutes and keeps the newest N revisions. As in etcd every member runs it
and only the leader's counts: `app` pauses the others. The clock is the caller's.

A worked example, period 5 s: samples at 0, 0.5, .. 5.0; at 5.0 the window holds 0 .. 4.5 and the revision of
second 0 is compacted; the next compaction is due at 10.0, to the revision of second 4.5.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from kvstore.server.golang import parse_duration

PERIODIC = "periodic"
REVISION = "revision"
REVISION_INTERVAL = 300.0
HOUR = 3600.0
RETRY_DIVISOR = 10


class Retention(NamedTuple):
    """`amount`: seconds (periodic) or revisions."""

    mode: str
    amount: float


def parse_retention(mode: str, text: str) -> Retention | None:
    """None: switched off. A plain number is hours in periodic mode. Raises `ValueError`."""
    if text.isdecimal():
        amount = int(text) * (HOUR if mode == PERIODIC else 1)
    elif mode == PERIODIC:
        amount = parse_duration(text or "0")
    else:
        raise ValueError(f'"{text}" is not a number of revisions')
    if amount < 0:
        raise ValueError(f'"{text}" is negative')
    return Retention(mode, amount) if amount else None


class Compactor:
    """Ask `due(now, revision, leading)` every `interval` seconds; tell `done` when it has been compacted."""

    interval: float

    def due(self, now: float, revision: int, leading: bool) -> int | None:
        """The revision to compact to, or None."""
        raise NotImplementedError

    def done(self, now: float, revision: int) -> None:
        raise NotImplementedError


class Periodic(Compactor):
    """`_window[0]` is the revision of one period ago once the window is full."""

    def __init__(self, period: float, now: float, revision: int) -> None:
        self._every = min(period, HOUR)
        self.interval = self._every / RETRY_DIVISOR
        self._window: deque[int] = deque([revision], maxlen=round(period / self.interval) + 1)
        self._last = now
        self._wait = period

    def due(self, now: float, revision: int, leading: bool) -> int | None:
        oldest = self._window[0]
        self._window.append(revision)
        # Timers fire a little early or late: a tenth of a tick is not a tick too early.
        if not leading or now - self._last < self._wait - self.interval / RETRY_DIVISOR:
            return None
        self._wait = self._every
        return oldest

    def done(self, now: float, revision: int) -> None:
        self._last = now


class ByRevision(Compactor):
    interval = REVISION_INTERVAL

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._previous = 0

    def due(self, now: float, revision: int, leading: bool) -> int | None:
        target = revision - self._keep
        return target if leading and target > 0 and target != self._previous else None

    def done(self, now: float, revision: int) -> None:
        self._previous = revision


def compactor(retention: Retention, now: float, revision: int) -> Compactor:
    if retention.mode == PERIODIC:
        return Periodic(retention.amount, now, revision)
    return ByRevision(int(retention.amount))
