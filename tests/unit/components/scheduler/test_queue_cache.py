"""Queue and cache against naive twins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.scheduler.cache import ASSUMED_SECONDS, Cache
from components.scheduler.framework import ClusterEvent, EventKind
from components.scheduler.podinfo import PodInfo
from components.scheduler.queue import UNSCHEDULABLE_SECONDS, SchedulingQueue


class Hint:
    """A filter plugin as far as the queue knows it; `useful` is what it answers."""

    name = "Hint"

    def __init__(self) -> None:
        self.useful = True

    def pre_filter(self, pod: PodInfo, nodes: Any) -> Any:
        raise NotImplementedError

    def filter(self, state: Any, pod: PodInfo, node: Any) -> Any:
        raise NotImplementedError

    def hint(self, pod: PodInfo, event: ClusterEvent) -> bool:
        return self.useful


EVENT = ClusterEvent(EventKind.NODE_ADD)


def pod(name: str, cpu: int = 1, node: str = "", priority: int = 0) -> PodInfo:
    container = {"name": "c", "resources": {"requests": {"cpu": str(cpu)}}}
    spec = {"containers": [container], "priority": priority, **({"nodeName": node} if node else {})}
    return PodInfo({"metadata": {"name": name, "namespace": "x", "uid": name}, "spec": spec})


def popped(queue: SchedulingQueue) -> list[str]:
    names = []
    while (queued := queue.pop()) is not None:
        names.append(queued.info.name)
    return names


def test_priority_then_age() -> None:
    queue = SchedulingQueue({})
    for now, (name, priority) in enumerate([("a", 0), ("b", 5), ("c", 0), ("d", 5)]):
        queue.add(pod(name, priority=priority), now)
    assert popped(queue) == ["b", "d", "a", "c"]


def test_backoff_doubles_to_ten_seconds() -> None:
    queue, now, waits = SchedulingQueue({}), 0.0, []
    queue.add(pod("a"), now)
    for _ in range(6):
        queued = queue.pop()
        assert queued is not None
        queue.put_back(queued, now)
        due = queue.next_backoff()
        assert due is not None
        queue.flush(due - 0.01)
        assert queue.pop() is None
        waits.append(due - now)
        now = due
        queue.flush(now)
    assert waits == [1, 2, 4, 8, 10, 10]


def test_unschedulable_pod_waits_for_a_useful_event_or_five_minutes() -> None:
    hint = Hint()
    queue = SchedulingQueue({"Hint": hint})
    queue.add(pod("a"), 0)
    first = queue.pop()
    assert first is not None
    queue.put_unschedulable(first, {"Hint"}, 0)
    hint.useful = False
    assert queue.move(EVENT, 100) == 0
    hint.useful = True
    assert queue.move(EVENT, 0.5) == 1
    assert queue.where("x/a") == "backoff"
    queue.flush(1)
    again = queue.pop()
    assert again is not None
    queue.put_unschedulable(again, {"Hint"}, 10)
    queue.flush(10 + UNSCHEDULABLE_SECONDS - 1)
    assert queue.where("x/a") == "unschedulable"
    queue.flush(10 + UNSCHEDULABLE_SECONDS)
    assert queue.where("x/a") == "active"


def test_only_a_change_of_spec_or_labels_wakes_an_unschedulable_pod() -> None:
    queue = SchedulingQueue({"Hint": Hint()})
    queue.add(pod("a"), 0)
    queued = queue.pop()
    assert queued is not None
    queue.put_unschedulable(queued, {"Hint"}, 0)
    with_status = PodInfo({**pod("a").pod, "status": {"phase": "Pending"}})
    queue.update(with_status, 60)
    assert queue.where("x/a") == "unschedulable"
    queue.update(pod("a", cpu=2), 60)
    assert queue.where("x/a") == "active"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "delete", "pop", "back", "unschedulable", "move", "tick", "update"]),
        st.sampled_from("abc"),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
def test_every_pod_is_in_exactly_one_place(steps: list[tuple[str, str, int]]) -> None:
    """The twin is a plain set of names for the queue and a dict for what is handed out."""
    queue = SchedulingQueue({"Hint": Hint()})
    waiting: dict[str, int] = {}
    out: dict[str, Any] = {}
    now = 0.0
    for step, name, number in steps:
        if step in ("add", "update") and name not in out:
            getattr(queue, step)(pod(name, priority=number), now)
            waiting[name] = number
        elif step == "delete":
            queue.delete(f"x/{name}")
            waiting.pop(name, None)
        elif step == "pop":
            active = [n for n in waiting if queue.where(f"x/{n}") == "active"]
            queued = queue.pop()
            assert (queued is None) == (not active)
            if queued is not None:
                assert waiting[queued.info.name] == max(waiting[n] for n in active)
                del waiting[queued.info.name]
                out[queued.info.name] = queued
        elif step in ("back", "unschedulable") and name in out:
            queued = out.pop(name)
            waiting[name] = queued.info.priority
            if step == "back":
                queue.put_back(queued, now)
            else:
                queue.put_unschedulable(queued, {"Hint"}, now)
        elif step == "move":
            queue.move(EVENT, now)
            assert all(queue.where(f"x/{n}") in ("active", "backoff") for n in waiting)
        elif step == "tick":
            now += number
            queue.flush(now)
        assert len(queue) == len(waiting)
        assert {n for n in "abc" if queue.where(f"x/{n}")} == set(waiting)
    queue.flush(now + 10 * UNSCHEDULABLE_SECONDS)
    queue.flush(now + 20 * UNSCHEDULABLE_SECONDS)
    assert sorted(popped(queue)) == sorted(waiting)


NODES = ("n1", "n2")
CACHE_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["assume", "finish", "forget", "set", "remove", "expire"]),
        st.sampled_from("abc"),
        st.sampled_from(NODES),
        st.integers(0, 4),
    ),
    max_size=50,
)


@given(CACHE_STEPS)
def test_totals_are_those_of_a_recount(steps: list[tuple[str, str, str, int]]) -> None:
    """The twin keeps (node, cpu, state) per pod and adds up from nothing each time."""
    cache = Cache()
    for name in NODES:
        cache.set_node({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "8", "pods": "9"}}})
    twin: dict[str, tuple[str, int, Any]] = {}
    now = 0.0
    for step, name, where, cpu in steps:
        key = f"x/{name}"
        known = twin.get(name)
        if step == "assume":
            if known is None:
                cache.assume(pod(name, cpu), where)
                twin[name] = (where, cpu, "binding")
            else:
                with pytest.raises(ValueError, match="already"):
                    cache.assume(pod(name, cpu), where)
        elif step == "finish":
            cache.finish_binding(key, now)
            if known is not None and known[2] != "added":
                twin[name] = (known[0], known[1], now + ASSUMED_SECONDS)
        elif step == "forget":
            cache.forget(key)
            if known is not None and known[2] != "added":
                del twin[name]
        elif step == "set":
            cache.set_pod(pod(name, cpu, node=where))
            twin[name] = (where, cpu, "added")
        elif step == "remove":
            cache.remove_pod(key)
            twin.pop(name, None)
        else:
            now += 50
            cache.expire(now)
            twin = {n: t for n, t in twin.items() if isinstance(t[2], str) or t[2] > now}
        for info in cache.nodes:
            mine = [t for t in twin.values() if t[0] == info.name]
            assert info.requested.get("cpu", 0) == sum(t[1] for t in mine) * 1000
            assert len(info.pods) == len(mine) == sum(info.label_classes.values())


def test_pods_of_a_node_that_comes_back_are_still_counted() -> None:
    cache = Cache()
    node = {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "8"}}}
    cache.set_pod(pod("early", 2, node="n1"))
    assert cache.nodes == []
    cache.set_node(node)
    cache.remove_node("n1")
    assert cache.node("n1") is None
    cache.set_node(node)
    assert cache.nodes[0].requested == {"cpu": 2000}
