"""The scheduling queue (P): pods that wait to be scheduled, as the original's scheduling_queue.go.

- active: ready, highest priority first, then oldest;
- backoff: failed recently, ready again after 1 s doubling to 10 s;
- unschedulable: no node was possible; woken by a cluster event that a plugin that rejected the pod
  finds useful, or after 5 minutes.

Every pod is in exactly one of the three, or handed out by `pop`. Times are monotonic seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.scheduler.framework import ClusterEvent, FilterPlugin
from components.scheduler.podinfo import PodInfo

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
UNSCHEDULABLE_SECONDS = 300.0


@dataclass
class QueuedPod:
    """`timestamp` is when the pod was last put into the queue."""

    info: PodInfo
    timestamp: float
    attempts: int = 0
    rejected_by: set[str] = field(default_factory=set)

    @property
    def backoff_until(self) -> float:
        if not self.attempts:
            return self.timestamp
        return self.timestamp + min(FIRST_BACKOFF * 2.0 ** min(self.attempts - 1, 10), LONGEST_BACKOFF)


_Entry = tuple[float, float, int, str]


class SchedulingQueue:
    """`plugins` by name give the queueing hints. Heap entries of pods that moved on are skipped lazily."""

    def __init__(self, plugins: Mapping[str, FilterPlugin]) -> None:
        self._plugins = plugins
        self._active: dict[str, QueuedPod] = {}
        self._backoff: dict[str, QueuedPod] = {}
        self._unschedulable: dict[str, QueuedPod] = {}
        self._active_heap: list[_Entry] = []
        self._backoff_heap: list[_Entry] = []
        self._tickets: dict[str, int] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._active) + len(self._backoff) + len(self._unschedulable)

    def lengths(self) -> dict[str, int]:
        """Pods by pool."""
        return {
            "active": len(self._active),
            "backoff": len(self._backoff),
            "unschedulable": len(self._unschedulable),
        }

    def where(self, key: str) -> str | None:
        """The pool that holds the pod: active, backoff, unschedulable, or None."""
        for name in ("active", "backoff", "unschedulable"):
            if key in getattr(self, f"_{name}"):
                return name
        return None

    def add(self, info: PodInfo, now: float) -> None:
        """A new pod; one that is already waiting starts afresh."""
        self.delete(info.key)
        self._activate(QueuedPod(info, now))

    def update(self, info: PodInfo, now: float) -> None:
        """A newer version. A change of spec or labels may make it schedulable, one of status may not."""
        queued = self._active.get(info.key) or self._backoff.get(info.key)
        if queued is not None:
            if queued.info.priority != info.priority and info.key in self._active:
                self.delete(info.key)
                queued.info = info
                self._activate(queued)
            queued.info = info
            return
        queued = self._unschedulable.get(info.key)
        if queued is None:
            self.add(info, now)
            return
        changed = queued.info.spec != info.spec or queued.info.labels != info.labels
        queued.info = info
        if changed:
            self._wake(queued, now)

    def delete(self, key: str) -> None:
        for pool in (self._active, self._backoff, self._unschedulable):
            pool.pop(key, None)
        self._tickets.pop(key, None)

    def pop(self) -> QueuedPod | None:
        """The next pod to schedule, its attempt counted; None if none is ready."""
        while self._active_heap:
            entry = heapq.heappop(self._active_heap)
            key = entry[3]
            if key in self._active and self._tickets.get(key) == entry[2]:
                queued = self._active.pop(key)
                del self._tickets[key]
                queued.attempts += 1
                queued.rejected_by = set()
                return queued
        return None

    def put_unschedulable(self, queued: QueuedPod, plugins: set[str], now: float) -> None:
        """Give back a popped pod that no node could take."""
        queued.rejected_by = set(plugins)
        queued.timestamp = now
        self._unschedulable[queued.info.key] = queued

    def put_back(self, queued: QueuedPod, now: float) -> None:
        """Give back a popped pod whose binding failed: tried again after its backoff."""
        queued.timestamp = now
        self._back_off(queued)

    def move(self, event: ClusterEvent, now: float) -> int:
        """Wake the pods that `event` may help; how many."""
        woken = [queued for queued in self._unschedulable.values() if self._helps(event, queued)]
        for queued in woken:
            self._wake(queued, now)
        return len(woken)

    def flush(self, now: float) -> None:
        """Whatever waited long enough becomes active."""
        while self._backoff_heap and self._backoff_heap[0][0] <= now:
            entry = heapq.heappop(self._backoff_heap)
            key = entry[3]
            if key in self._backoff and self._tickets.get(key) == entry[2]:
                self._activate(self._backoff.pop(key))
        for queued in [*self._unschedulable.values()]:
            if now - queued.timestamp >= UNSCHEDULABLE_SECONDS:
                self._wake(queued, now)

    def next_backoff(self) -> float | None:
        """When the first backoff ends (or a little earlier), or None."""
        return self._backoff_heap[0][0] if self._backoff_heap else None

    def _helps(self, event: ClusterEvent, queued: QueuedPod) -> bool:
        if not queued.rejected_by:
            return True
        return any(self._plugins[name].hint(queued.info, event) for name in queued.rejected_by)

    def _wake(self, queued: QueuedPod, now: float) -> None:
        del self._unschedulable[queued.info.key]
        if queued.backoff_until <= now:
            self._activate(queued)
        else:
            self._back_off(queued)

    def _activate(self, queued: QueuedPod) -> None:
        self._active[queued.info.key] = queued
        ticket = self._ticket(queued.info.key)
        entry = (-float(queued.info.priority), queued.timestamp, ticket, queued.info.key)
        heapq.heappush(self._active_heap, entry)

    def _back_off(self, queued: QueuedPod) -> None:
        self._backoff[queued.info.key] = queued
        ticket = self._ticket(queued.info.key)
        heapq.heappush(self._backoff_heap, (queued.backoff_until, 0.0, ticket, queued.info.key))

    def _ticket(self, key: str) -> int:
        """Marks the newest heap entry of `key` as the valid one."""
        self._sequence += 1
        self._tickets[key] = self._sequence
        return self._sequence
