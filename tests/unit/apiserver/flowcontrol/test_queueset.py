"""One priority level, tried with any order of arrivals, ends and departures, and with a flood in virtual time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.flowcontrol.queueset import Outcome, QueueSet, Queuing, Ticket
from apiserver.flowcontrol.shuffle import deal, flow_hash

QUEUING = st.builds(
    lambda queues, hand, length: Queuing(queues, min(queues, hand), length),
    st.integers(1, 8),
    st.integers(1, 4),
    st.integers(1, 6),
)
LEVEL = st.one_of(QUEUING, st.just(Queuing()), st.just(Queuing(exempt=True)))
STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "offer", "offer", "finish", "cancel", "seats"]), st.integers(0, 5)),
    max_size=80,
)


@dataclass
class Twin:
    """Keeps account of a level by what it says, and knows what it must never say."""

    queuing: Queuing
    seats: int
    now: float = 0.0
    waiting: list[Ticket] = field(default_factory=list)
    running: list[Ticket] = field(default_factory=list)
    order: dict[int, deque[Ticket]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.level = QueueSet(self.queuing, self.seats)

    def offer(self, flow: int) -> None:
        ticket = Ticket(flow_hash("schema", str(flow)))
        free = self.seats - len(self.running)
        outcome = self.level.offer(ticket, self.now)
        if self.queuing.exempt or free > 0:
            assert outcome is Outcome.EXECUTE, "nobody waits or goes while there is a seat"
        if outcome is Outcome.EXECUTE:
            assert not self.waiting or self.queuing.exempt
            self._start([ticket])
        elif outcome is Outcome.QUEUED:
            self.waiting.append(ticket)
            self.order.setdefault(id(ticket.queue), deque()).append(ticket)
            queue = self.order[id(ticket.queue)]
            assert len(queue) <= self.queuing.queue_length_limit
        elif self.queuing.queues:
            assert outcome is Outcome.QUEUE_FULL
        else:
            assert outcome is Outcome.NO_SEAT

    def finish(self, which: int) -> None:
        if self.running:
            ticket = self.running.pop(which % len(self.running))
            self._arrive(self.level.finish(ticket, self.now))

    def cancel(self, which: int) -> None:
        if self.waiting:
            ticket = self.waiting.pop(which % len(self.waiting))
            self.order[id(ticket.queue)].remove(ticket)
            assert self.level.cancel(ticket, self.now)
        if self.running:
            assert not self.level.cancel(self.running[0], self.now)

    def change_seats(self, seats: int) -> None:
        self.seats = seats
        self.level.configure(self.queuing, seats)
        self._arrive(self.level.dispatch(self.now))

    def _arrive(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            assert self.order[id(ticket.queue)].popleft() is ticket, "first come, first served in a queue"
            self.waiting.remove(ticket)
            self._start([ticket])

    def _start(self, tickets: list[Ticket]) -> None:
        self.running += tickets
        assert self.queuing.exempt or len(self.running) <= self.seats, "never more than there are seats"

    def check(self) -> None:
        assert (self.level.executing, self.level.waiting) == (len(self.running), len(self.waiting))
        assert not self.waiting or len(self.running) >= self.seats, "a seat is free and somebody waits"


@settings(max_examples=200)
@given(LEVEL, st.integers(0, 4), STEPS)
def test_a_level_keeps_its_promises(queuing: Queuing, seats: int, steps: list[tuple[str, int]]) -> None:
    twin = Twin(queuing, seats)
    for what, value in steps:
        twin.now += value * 0.001
        if what == "offer":
            twin.offer(value)
        elif what == "finish":
            twin.finish(value)
        elif what == "cancel":
            twin.cancel(value)
        else:
            twin.change_seats(value)
        twin.check()
    if twin.seats:
        for _ in range(len(twin.waiting) + len(twin.running)):
            twin.finish(0)
        assert (twin.waiting, twin.running) == ([], []), "everybody has had a turn in the end"


@dataclass
class Run:
    """Clients ask again as soon as they are answered; ``waits`` are the seconds in a queue, by client."""

    level: QueueSet
    clients: dict[str, tuple[int, float]]  # how many requests at a time, seconds that each takes
    waits: dict[str, list[float]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)

    def go(self, seconds: float) -> None:
        ends: list[tuple[float, int, str, Ticket]] = []
        owner: dict[Ticket, str] = {}
        arrivals = [(0.0, n, who) for who, (count, _) in self.clients.items() for n in range(count)]
        heapq.heapify(arrivals)
        serial, now = 0, 0.0
        while now < seconds:
            if ends and (not arrivals or ends[0][0] <= arrivals[0][0]):
                now, _, who, done = heapq.heappop(ends)
                started = self.level.finish(done, now)
                serial += 1
                heapq.heappush(arrivals, (now, serial, who))
            else:
                now, _, who = heapq.heappop(arrivals)
                ticket = Ticket(flow_hash("schema", who))
                owner[ticket] = who
                outcome = self.level.offer(ticket, now)
                started = [ticket] if outcome is Outcome.EXECUTE else []
                if outcome.rejected:
                    self.rejected[who] = self.rejected.get(who, 0) + 1
                    serial += 1
                    heapq.heappush(arrivals, (now + 1.0, serial, who))
            for one in started:
                serial += 1
                self.waits.setdefault(owner[one], []).append(now - one.arrived)
                heapq.heappush(ends, (now + self.clients[owner[one]][1], serial, owner[one], one))


def test_a_flood_by_one_user_does_not_delay_the_others() -> None:
    """400 requests at a time of half a second each, against two users who ask one thing at a time."""
    run = Run(QueueSet(Queuing(128, 6, 50), 8), {"flood": (400, 0.5), "ann": (1, 0.01), "bob": (1, 0.01)})
    run.go(60.0)
    for who in ("ann", "bob"):
        waits = sorted(run.waits[who])
        assert len(waits) > 60 / (0.01 + 0.5)
        assert waits[len(waits) // 2] <= 0.5 / 8 + 0.01, "at most until the next seat is free"
        assert waits[-1] <= 0.5 + 0.01 + 1e-9, "all seats end at once, and the other small one may be first"
        assert who not in run.rejected
    assert run.rejected["flood"] > 0
    worked = sum(len(run.waits[who]) * seconds for who, (_, seconds) in run.clients.items())
    assert worked > 0.98 * 60 * 8, "what nobody else wants is the flood's: no seat is idle"


def test_flows_that_want_as_much_get_as_much() -> None:
    """Each in a queue of its own; hands that overlap share what is in both."""
    assert len({deal(flow_hash("schema", name), 64, 1)[0] for name in "abcd"}) == 4
    run = Run(QueueSet(Queuing(64, 1, 50), 4), dict.fromkeys("abcd", (20, 0.1)))
    run.go(50.0)
    counts = [len(run.waits[name]) for name in "abcd"]
    assert max(counts) - min(counts) <= 2


def test_a_queue_that_had_its_turn_lets_the_other_go_first() -> None:
    level = QueueSet(Queuing(8, 1, 10), 1)
    first = next(f for f in range(100) if deal(f, 8, 1) == [3])
    other = next(f for f in range(100) if deal(f, 8, 1) == [5])
    a1, a2, a3, b1 = Ticket(first), Ticket(first), Ticket(first), Ticket(other)
    assert level.offer(a1, 0.0) is Outcome.EXECUTE
    assert [level.offer(t, 0.01) for t in (a2, a3, b1)] == [Outcome.QUEUED] * 3
    assert level.finish(a1, 0.1) == [b1]
    assert level.finish(b1, 0.11) == [a2]


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.integers(1, 8))
def test_a_hand_has_no_card_twice(value: int, queues: int, hand: int) -> None:
    dealt = deal(value, queues, min(hand, queues))
    assert len(set(dealt)) == min(hand, queues)
    assert all(0 <= card < queues for card in dealt)


def test_hands_reach_all_queues_evenly() -> None:
    counts = [0] * 16
    for number in range(2000):
        for card in deal(flow_hash("s", f"user-{number}"), 16, 4):
            counts[card] += 1
    assert min(counts) > 400
    assert max(counts) < 600


@pytest.mark.parametrize(
    ("value", "hand"),
    [(0, [0, 1, 2]), (1, [1, 0, 2]), (9, [9, 0, 1]), (10 * 9 * 8 - 1, [9, 8, 7])],
)
def test_the_deal_is_that_of_the_original(value: int, hand: list[int]) -> None:
    assert deal(value, 10, 3) == hand
