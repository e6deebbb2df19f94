"""The whole scheduler on the in-memory API server, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

from components.client.errors import ConnectionFailed
from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.resources import EVENTS, NODES, PODS
from components.client.testing import Action, FakeApi
from components.client.transport import ApiClient
from components.scheduler import Scheduler
from tests.support.virtual_time import run_virtual

Object = dict[str, Any]


def node(name: str, cpu: str = "2", memory: str = "4Gi", **spec: Any) -> Object:
    allocatable = {"cpu": cpu, "memory": memory, "pods": "110"}
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
    return {"metadata": metadata, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str, cpu: str = "100m", memory: str = "64Mi", **spec: Any) -> Object:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulerName": "default-scheduler", "containers": [container], **spec},
    }


def scheduled(test: Callable[[FakeApi], Awaitable[None]], api: FakeApi | None = None) -> None:
    """Run `test` beside a scheduler that is already synced."""

    async def main() -> None:
        fake = api or FakeApi()
        client = cast(ApiClient, fake)
        informers = InformerFactory(client)
        recorder = EventRecorder(client, "default-scheduler")
        scheduler = Scheduler(
            client, informers, recorder, lambda: datetime(2026, 1, 1, tzinfo=UTC), random.Random(1)
        )
        tasks = [asyncio.create_task(informers.run()), asyncio.create_task(scheduler.run())]
        await asyncio.sleep(0.5)
        await test(fake)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await recorder.close()

    run_virtual(main())


def node_of(api: FakeApi, name: str) -> str:
    stored = api.peek(PODS, f"default/{name}")
    assert stored is not None
    return str(stored["spec"].get("nodeName", ""))


def condition_of(api: FakeApi, name: str) -> Object:
    stored = api.peek(PODS, f"default/{name}")
    assert stored is not None
    return next(c for c in stored["status"]["conditions"] if c["type"] == "PodScheduled")


def messages(api: FakeApi, reason: str) -> list[str]:
    return [event["message"] for event in api.all(EVENTS) if event["reason"] == reason]


def test_assigns_a_pod_and_tells_so() -> None:
    async def test(api: FakeApi) -> None:
        api.load(NODES, node("n1"))
        await api.create(PODS, pod("web"))
        await asyncio.sleep(1)
        assert node_of(api, "web") == "n1"
        assert messages(api, "Scheduled") == ["Successfully assigned default/web to n1"]

    scheduled(test)


def test_no_node_at_all() -> None:
    async def test(api: FakeApi) -> None:
        await api.create(PODS, pod("web"))
        await asyncio.sleep(1)
        assert condition_of(api, "web")["message"] == "no nodes available to schedule pods"
        api.load(NODES, node("n1"))
        await asyncio.sleep(2)
        assert node_of(api, "web") == "n1"

    scheduled(test)


def test_too_large_pod_is_told_why_in_the_original_words() -> None:
    async def test(api: FakeApi) -> None:
        api.load(NODES, node("n1", "1", "1Gi"), node("n2", "1", "8Gi"))
        api.load(PODS, {**pod("big", "900m"), "spec": {**pod("big", "900m")["spec"], "nodeName": "n1"}})
        api.load(PODS, {**pod("two", "900m"), "spec": {**pod("two", "900m")["spec"], "nodeName": "n2"}})
        await api.create(PODS, pod("web", "500m", "1000Mi"))
        await asyncio.sleep(1)
        message = (
            "0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu. preemption: 0/2 nodes are "
            "available: 2 No preemption victims found for incoming pod."
        )
        assert condition_of(api, "web")["message"] == message
        assert condition_of(api, "web")["reason"] == "Unschedulable"
        assert messages(api, "FailedScheduling") == [message]

    scheduled(test)


def test_waiting_pod_is_placed_when_another_leaves() -> None:
    async def test(api: FakeApi) -> None:
        api.load(NODES, node("n1", "1"))
        await api.create(PODS, pod("first", "800m"))
        await asyncio.sleep(1)
        await api.create(PODS, pod("second", "800m"))
        await asyncio.sleep(60)
        assert node_of(api, "second") == ""
        await api.delete(PODS, "first", "default", grace_period_seconds=0)
        await asyncio.sleep(2)
        assert node_of(api, "second") == "n1"

    scheduled(test)


def test_replicas_spread_over_nodes_and_never_overfill() -> None:
    async def test(api: FakeApi) -> None:
        api.load(NODES, *(node(f"n{i}", "1") for i in range(4)))
        for number in range(40):
            await api.create(PODS, pod(f"p{number}"))
        await asyncio.sleep(5)
        placed = [node_of(api, f"p{number}") for number in range(40)]
        assert sorted(placed.count(f"n{i}") for i in range(4)) == [10, 10, 10, 10]

    scheduled(test)


def test_failed_binding_is_tried_again_and_its_place_is_free_meanwhile() -> None:
    async def test(api: FakeApi) -> None:
        broken = [True]

        def refuse_binding(action: Action) -> None:
            if action.subresource == "binding" and broken:
                broken.pop()
                raise ConnectionFailed("reset by peer")

        api.reactors.append(refuse_binding)
        api.load(NODES, node("n1", "1"))
        await api.create(PODS, pod("web", "800m"))
        await asyncio.sleep(0.5)
        assert node_of(api, "web") == ""
        await asyncio.sleep(2)
        assert node_of(api, "web") == "n1"

    scheduled(test)


def test_other_schedulers_and_gated_pods_are_left_alone() -> None:
    async def test(api: FakeApi) -> None:
        api.load(NODES, node("n1"))
        await api.create(PODS, pod("theirs", schedulerName="mine"))
        await api.create(PODS, pod("gated", schedulingGates=[{"name": "x"}]))
        await asyncio.sleep(30)
        assert (node_of(api, "theirs"), node_of(api, "gated")) == ("", "")
        await api.patch(PODS, "gated", {"spec": {"schedulingGates": None}}, "default")
        await asyncio.sleep(1)
        assert node_of(api, "gated") == "n1"

    scheduled(test)


def test_deleted_pod_is_not_scheduled() -> None:
    async def test(api: FakeApi) -> None:
        await api.create(PODS, pod("web"))
        await asyncio.sleep(1)
        await api.delete(PODS, "web", "default")
        api.load(NODES, node("n1"))
        await asyncio.sleep(30)
        assert not [a for a in api.actions if a.subresource == "binding"]

    scheduled(test)


def test_higher_priority_goes_first() -> None:
    async def test(api: FakeApi) -> None:
        await api.create(PODS, pod("low", "800m", priority=1))
        await api.create(PODS, pod("high", "800m", priority=10))
        await asyncio.sleep(15)
        api.load(NODES, node("n1", "1"))
        await asyncio.sleep(5)
        assert (node_of(api, "high"), node_of(api, "low")) == ("n1", "")

    scheduled(test)
