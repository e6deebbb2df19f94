"""The bookkeeping of a work queue (P): three sets and the keys that wait for their time.

Shelled by `workqueue.WorkQueue`. As client-go's queue.go and delaying_queue.go.

- dirty: keys that need to be processed;
- processing: keys handed out and not yet done;
- queue: the order of hand-out, exactly the dirty keys that are not processing.

So a key is never processed twice at a time, and a key added while it is processed comes again after
`done`. Example: add(a), get -> a (dirty {}, processing {a}), add(a) (dirty {a}, queue []), done(a)
(queue [a]).
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Generic, TypeVar

K = TypeVar("K")


class QueueCore(Generic[K]):
    """Times are seconds on the caller's clock."""

    def __init__(self) -> None:
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._queue: deque[K] = deque()
        self._waiting: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def processing(self) -> frozenset[K]:
        return frozenset(self._processing)

    @property
    def waiting(self) -> int:
        """How many keys wait for their time."""
        return len(self._waiting)

    def add(self, key: K) -> None:
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._queue.append(key)

    def add_at(self, key: K, due: float) -> None:
        """Add `key` when the clock reaches `due`; of several times for one key the earliest counts."""
        known = self._waiting.get(key)
        if known is not None and known <= due:
            return
        self._waiting[key] = due
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, key))

    def next_due(self) -> float | None:
        """When `ripen` has something to do, or None."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._waiting.get(key) == due:
                return due
            heapq.heappop(self._heap)  # superseded by an earlier time
        return None

    def ripen(self, now: float) -> None:
        """Add every waiting key whose time has come."""
        while (due := self.next_due()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._waiting[key]
            self.add(key)

    def take(self) -> K | None:
        """The next key, to be given back with `done`; None when nothing is ready."""
        if not self._queue:
            return None
        key = self._queue.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        self._processing.discard(key)
        if key in self._dirty:
            self._queue.append(key)

    def drop_waiting(self) -> None:
        self._waiting.clear()
        self._heap.clear()
