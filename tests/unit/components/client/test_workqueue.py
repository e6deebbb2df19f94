"""The work queue against a naive twin, and its waiting in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.client.queuecore import QueueCore
from components.client.ratelimit import BucketLimiter, ExponentialLimiter, TokenBucket
from components.client.run import run_workers
from components.client.workqueue import ShutDown, WorkQueue
from tests.support.virtual_time import run_virtual


class NaiveQueue:
    """Says what must hold, slowly: lists instead of sets and heaps."""

    def __init__(self) -> None:
        self.ready: list[str] = []
        self.again: list[str] = []
        self.processing: list[str] = []
        self.waiting: list[tuple[float, int, str]] = []
        self.count = 0

    def add(self, key: str) -> None:
        if key in self.processing:
            if key not in self.again:
                self.again.append(key)
        elif key not in self.ready:
            self.ready.append(key)

    def add_at(self, key: str, due: float) -> None:
        known = [entry for entry in self.waiting if entry[2] == key]
        if known and known[0][0] <= due:
            return
        self.waiting = [entry for entry in self.waiting if entry[2] != key]
        self.count += 1
        self.waiting.append((due, self.count, key))

    def ripen(self, now: float) -> None:
        for entry in sorted(self.waiting):
            if entry[0] <= now:
                self.waiting.remove(entry)
                self.add(entry[2])

    def take(self) -> str | None:
        if not self.ready:
            return None
        key = self.ready.pop(0)
        self.processing.append(key)
        return key

    def done(self, key: str) -> None:
        if key in self.processing:
            self.processing.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.ready.append(key)


KEYS = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(st.just("add"), KEYS, st.just(0)),
    st.tuples(st.just("add_at"), KEYS, st.integers(0, 20)),
    st.tuples(st.just("take"), st.just(""), st.just(0)),
    st.tuples(st.just("done"), KEYS, st.just(0)),
    st.tuples(st.just("tick"), st.just(""), st.integers(0, 5)),
)


@given(st.lists(STEPS, max_size=60))
def test_core_behaves_as_its_naive_twin(steps: list[tuple[str, str, int]]) -> None:
    core: QueueCore[str] = QueueCore()
    twin = NaiveQueue()
    now = 0.0
    for step, key, number in steps:
        if step == "add":
            core.add(key)
            twin.add(key)
        elif step == "add_at":
            core.add_at(key, now + number)
            twin.add_at(key, now + number)
        elif step == "take":
            assert core.take() == twin.take()
        elif step == "done" and key in twin.processing:
            core.done(key)
            twin.done(key)
        elif step == "tick":
            now += number
            core.ripen(now)
            twin.ripen(now)
        assert len(core) == len(twin.ready)
        assert core.processing == set(twin.processing)
        assert core.next_due() == min((entry[0] for entry in twin.waiting), default=None)


def test_delayed_key_comes_when_its_time_has_come() -> None:
    async def main() -> None:
        queue = WorkQueue()
        queue.add_after("late", 30)
        queue.add_after("soon", 5)
        loop = asyncio.get_running_loop()
        assert (await queue.get(), loop.time()) == ("soon", 5)
        assert (await queue.get(), loop.time()) == ("late", 30)

    run_virtual(main())


def test_key_added_while_processed_comes_again_after_done() -> None:
    async def main() -> None:
        queue = WorkQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"

    run_virtual(main())


def test_cancelled_getter_passes_its_turn_on() -> None:
    async def main() -> None:
        queue = WorkQueue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        assert await asyncio.wait_for(second, 1) == "a"

    run_virtual(main())


def test_shut_down_hands_out_what_is_ready_and_then_ends_getters() -> None:
    async def main() -> None:
        queue = WorkQueue()
        queue.add("a")
        queue.shut_down()
        queue.add("b")
        assert await queue.get() == "a"
        with pytest.raises(ShutDown):
            await queue.get()

    run_virtual(main())


def test_backoff_doubles_and_is_forgotten() -> None:
    limiter = ExponentialLimiter(base=1, cap=10)
    assert [limiter.when("a", 0) for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert limiter.when("b", 0) == 1
    limiter.forget("a")
    assert (limiter.num_requeues("a"), limiter.when("a", 0)) == (0, 1)


def test_bucket_allows_a_burst_and_then_a_rate() -> None:
    limiter = BucketLimiter(qps=10, burst=2)
    assert [limiter.when("a", 0) for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])
    bucket = TokenBucket(qps=1, burst=1)
    assert [bucket.try_take(t) for t in (0, 0.5, 1.0, 1.5, 2.0)] == [True, False, True, False, True]


def test_workers_retry_what_failed_and_survive_it() -> None:
    async def main() -> None:
        queue = WorkQueue()
        seen: list[str] = []

        async def sync(key: str) -> None:
            seen.append(key)
            if seen.count(key) < 3:
                raise ValueError(key)

        workers = asyncio.create_task(run_workers(queue, sync, 2, "test"))
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(10)
        assert sorted(seen) == ["a"] * 3 + ["b"] * 3
        assert queue.num_requeues("a") == 0
        workers.cancel()
        await asyncio.wait([workers])
        assert workers.cancelled()

    run_virtual(main())
