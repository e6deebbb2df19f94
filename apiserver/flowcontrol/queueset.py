"""One priority level: its seats, its queues, and who is next (P).

    offer ──▶ EXECUTE                 a seat was free
         └──▶ QUEUED ──▶ (finish of another returns it) ──▶ executes ──▶ finish
         └──▶ REJECTED                the queue was full, or the level has no queues

Fair queuing in virtual time, as the original's ``fairqueuing/queueset``: a meter R runs at the rate at which every
active queue is served, and a queue's next request is due at ``next_start`` on it. The queue that is due first goes
first. A dispatch moves its queue on by an estimate of the work, the end of the request corrects that to what it took.
So a queue that was idle starts level with the others, and one that had more than its share waits. Within a queue, and
so within a flow that is in one queue, order is that of arrival.

Invariants: ``executing <= seats`` at every dispatch (fewer seats later end nothing); somebody waits only if no seat is
free; every ticket is waiting, executing or done. Times are seconds on any clock that does not go back.

Example, one seat, queues A and B: a1 executes, a2 a3 wait in A, b1 arrives in B. a1 ends: A has had its turn, so b1 is
due before a2.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from apiserver.flowcontrol import shuffle

ESTIMATE = 0.003
"""Seconds that a request is thought to take until it has ended; the original's estimatedServiceDuration."""


_HANDS = 1024


class Outcome(enum.Enum):
    EXECUTE = "execute"
    QUEUED = "queued"
    QUEUE_FULL = "queue-full"
    NO_SEAT = "concurrency-limit"

    @property
    def rejected(self) -> bool:
        return self in (Outcome.QUEUE_FULL, Outcome.NO_SEAT)


@dataclass(frozen=True, slots=True)
class Queuing:
    """``queues`` of 0: who finds no seat is refused. ``exempt``: there is always a seat."""

    queues: int = 0
    hand_size: int = 0
    queue_length_limit: int = 0
    exempt: bool = False


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's place. ``flow`` is its flow's hash."""

    flow: int
    arrived: float = 0.0
    started: float = 0.0
    queue: _Queue | None = None
    executing: bool = False


@dataclass(slots=True, eq=False)
class _Queue:
    index: int
    waiting: deque[Ticket] = field(default_factory=deque)
    executing: int = 0
    next_start: float = 0.0

    @property
    def load(self) -> int:
        return len(self.waiting) + self.executing


class QueueSet:
    """``seats``: how many requests may execute. Both may be changed at any time by :meth:`configure`."""

    def __init__(self, queuing: Queuing, seats: int) -> None:
        self._queuing = queuing
        self._queues: list[_Queue] = []
        self._hands: dict[int, list[_Queue]] = {}  # by flow, as dealt before
        self._backlogged: dict[int, _Queue] = {}  # those with somebody waiting
        self._active = 0  # queues with somebody waiting or executing
        self._progress = 0.0  # R
        self._at = 0.0  # when it was
        self._turn = 0  # the queue that went last: among equals the next one goes first
        self.seats = seats
        self.executing = 0
        self.waiting = 0
        self.configure(queuing, seats)

    def configure(self, queuing: Queuing, seats: int) -> None:
        """Who waits in a queue that is no longer dealt goes on waiting there."""
        self._queuing, self.seats = queuing, seats
        self._hands.clear()
        self._queues.extend(_Queue(index) for index in range(len(self._queues), queuing.queues))

    def offer(self, ticket: Ticket, now: float) -> Outcome:
        """The request arrives. EXECUTE and QUEUED must be ended by :meth:`finish` or :meth:`cancel`."""
        self._advance(now)
        ticket.arrived = now
        if self._queuing.exempt or not self._queuing.queues:
            if not self._queuing.exempt and self.executing >= self.seats:
                return Outcome.NO_SEAT
            self._start(ticket, now)
            return Outcome.EXECUTE
        queue = self._choose(ticket.flow)
        free = self.executing < self.seats
        if not free and len(queue.waiting) >= self._queuing.queue_length_limit:
            return Outcome.QUEUE_FULL
        self._enqueue(queue, ticket)
        if not free:
            return Outcome.QUEUED
        self._start(self._next(), now)  # nobody else waited while there was a seat
        return Outcome.EXECUTE

    def finish(self, ticket: Ticket, now: float) -> list[Ticket]:
        """The request has ended; who may start in its place."""
        self._advance(now)
        self.executing -= 1
        ticket.executing = False
        queue = ticket.queue
        if queue is not None:
            queue.next_start += (now - ticket.started) - ESTIMATE
            queue.executing -= 1
            self._settle(queue)
        return self.dispatch(now)

    def cancel(self, ticket: Ticket, now: float) -> bool:
        """The request no longer waits; False if it did not wait any more."""
        queue = ticket.queue
        if ticket.executing or queue is None or ticket not in queue.waiting:
            return False
        self._advance(now)
        queue.waiting.remove(ticket)
        self.waiting -= 1
        if not queue.waiting:
            del self._backlogged[queue.index]
        self._settle(queue)
        return True

    def dispatch(self, now: float) -> list[Ticket]:
        """Who may start now; also asked after there were more seats."""
        self._advance(now)
        started: list[Ticket] = []
        while self.waiting and (self.executing < self.seats or self._queuing.exempt):
            ticket = self._next()
            self._start(ticket, now)
            started.append(ticket)
        return started

    def _choose(self, flow: int) -> _Queue:
        """Of the flow's hand the queue with the fewest requests; the first of equals."""
        hand = self._hands.get(flow)
        if hand is None:
            if len(self._hands) >= _HANDS:
                self._hands.clear()
            cards = shuffle.deal(flow, self._queuing.queues, self._queuing.hand_size)
            hand = self._hands[flow] = [self._queues[card] for card in cards]
        if not self._active:
            return hand[0]
        return min(hand, key=lambda queue: queue.load)

    def _enqueue(self, queue: _Queue, ticket: Ticket) -> None:
        if not queue.load:
            self._active += 1
            queue.next_start = max(queue.next_start, self._progress)
        ticket.queue = queue
        queue.waiting.append(ticket)
        self._backlogged[queue.index] = queue
        self.waiting += 1

    def _next(self) -> Ticket:
        """Takes the first request of the queue that is due first."""
        count, turn = len(self._queues), self._turn
        queue = min(self._backlogged.values(), key=lambda q: (q.next_start, (q.index - turn - 1) % count))
        self._turn = queue.index
        ticket = queue.waiting.popleft()
        self.waiting -= 1
        if not queue.waiting:
            del self._backlogged[queue.index]
        queue.next_start += ESTIMATE
        queue.executing += 1
        return ticket

    def _start(self, ticket: Ticket, now: float) -> None:
        ticket.started, ticket.executing = now, True
        self.executing += 1

    def _settle(self, queue: _Queue) -> None:
        if not queue.load:
            self._active -= 1

    def _advance(self, now: float) -> None:
        """Let the meter run since it was looked at last."""
        if self._active and now > self._at:
            served = min(self.executing + self.waiting, self.seats)
            self._progress += (now - self._at) * served / self._active
        self._at = max(self._at, now)
