"""Informers on the in-memory API server: resume, relist, handlers, indexes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from components.client.errors import ApiError, ConnectionFailed
from components.client.informer import Informer, InformerFactory
from components.client.resources import NODES, PODS
from components.client.testing import Action, FakeApi
from tests.support.virtual_time import run_virtual


def pod(name: str, namespace: str = "x", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {}}


def record(informer: Informer) -> list[str]:
    log: list[str] = []
    informer.add_handler(
        lambda obj: log.append("+" + obj["metadata"]["name"]),
        lambda old, new: log.append("~" + new["metadata"]["name"]),
        lambda obj: log.append("-" + obj["metadata"]["name"]),
    )
    return log


def informed(test: Callable[[FakeApi, Informer, list[str]], Awaitable[None]], *pods: Any) -> None:
    async def main() -> None:
        api = FakeApi()
        api.load(PODS, *pods)
        factory = InformerFactory(api)
        informer = factory.informer(PODS)
        log = record(informer)
        task = asyncio.create_task(factory.run())
        await factory.wait_synced()
        await test(api, informer, log)
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def requests(api: FakeApi) -> list[str]:
    verbs: list[str] = []
    api.reactors.append(lambda action: verbs.append(action.verb))
    return verbs


def test_first_list_calls_handlers_before_it_counts_as_synced() -> None:
    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        assert log == ["+a", "+b"]
        assert informer.has_synced

    informed(test, pod("a"), pod("b"))


def test_changes_arrive_in_order() -> None:
    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        await api.create(PODS, pod("b"))
        await api.patch(PODS, "b", {"metadata": {"labels": {"q": "1"}}}, "x")
        await api.delete(PODS, "a", "x")
        await asyncio.sleep(1)
        assert log == ["+a", "+b", "~b", "-a"]
        assert informer.store.keys() == ["x/b"]

    informed(test, pod("a"))


def test_broken_watch_resumes_without_a_new_list() -> None:
    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        await asyncio.sleep(1)
        verbs = requests(api)
        api.break_watches()
        await api.create(PODS, pod("b"))
        await asyncio.sleep(5)
        assert log == ["+a", "+b"]
        assert "list" not in verbs

    informed(test, pod("a"))


def test_lost_history_means_a_new_list_with_synthetic_deletes() -> None:
    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        await asyncio.sleep(1)
        down = [True]

        def unreachable(action: Action) -> None:
            if down and action.verb == "watch":
                raise ConnectionFailed("refused")

        api.reactors.append(unreachable)
        api.break_watches()
        await api.delete(PODS, "a", "x")
        await api.delete(PODS, "b", "x")
        await api.create(PODS, pod("b"))
        await api.create(PODS, pod("c"))
        api.compact()
        await asyncio.sleep(5)
        down.clear()
        await asyncio.sleep(30)
        assert log == ["+a", "+b", "-a", "-b", "+b", "+c"]

    informed(test, pod("a"), pod("b"))


def test_list_failures_are_retried_with_growing_pauses() -> None:
    async def main() -> None:
        api = FakeApi()
        times: list[float] = []

        def fail(action: Action) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) <= 6:
                raise ApiError(500, "InternalError", "no")

        api.reactors.append(fail)
        informer = Informer(api, PODS)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        gaps = [b - a for a, b in itertools.pairwise(times)][:6]
        assert gaps == sorted(gaps)
        assert 0.1 <= gaps[0] < 0.2
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def test_expired_first_version_falls_back_to_the_newest() -> None:
    async def main() -> None:
        api = FakeApi()
        api.load(PODS, pod("a"))
        asked: list[str | None] = []
        original = api.list

        async def listing(*args: Any, **kwargs: Any) -> Any:
            asked.append(kwargs["resource_version"])
            if kwargs["resource_version"] == "0":
                raise ApiError(410, "Expired", "too old")
            return await original(*args, **kwargs)

        api.list = listing  # type: ignore[method-assign]  # one answer differs
        informer = Informer(api, PODS)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        assert asked == ["0", ""]
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def test_failing_handler_stops_neither_the_informer_nor_other_handlers() -> None:
    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        def explode(obj: Any) -> None:
            raise ValueError("handler")

        informer.add_handler(on_add=explode)
        late = record(informer)
        await api.create(PODS, pod("b"))
        await asyncio.sleep(1)
        assert log == late == ["+a", "+b"]

    informed(test, pod("a"))


def test_objects_come_without_managed_fields() -> None:
    owned = pod("a")
    owned["metadata"]["managedFields"] = [{"manager": "kubectl"}]

    async def test(api: FakeApi, informer: Informer, log: list[str]) -> None:
        await api.create(PODS, {**owned, "metadata": {**owned["metadata"], "name": "b"}})
        await asyncio.sleep(1)
        assert log == ["+a", "+b"]
        for key in ("x/a", "x/b"):
            stored, kept = api.peek(PODS, key), informer.store.get(key)
            assert stored is not None
            assert kept is not None
            assert stored["metadata"].pop("managedFields")
            assert kept == stored

    informed(test, owned)


def test_indexes_follow_changes() -> None:
    async def main() -> None:
        api = FakeApi()
        api.load(PODS, pod("a", app="web"), pod("b", app="db"), pod("c", "y", app="web"))
        factory = InformerFactory(api)
        by_app = {"app": lambda obj: [obj["metadata"]["labels"]["app"]]}
        informer = factory.informer(PODS, indexers=by_app)
        assert factory.informer(PODS) is informer
        task = asyncio.create_task(factory.run())
        await factory.wait_synced()
        names = lambda app: sorted(o["metadata"]["name"] for o in informer.store.by_index("app", app))  # noqa: E731  # short
        assert (names("web"), names("db")) == (["a", "c"], ["b"])
        await api.patch(PODS, "a", {"metadata": {"labels": {"app": "db"}}}, "x")
        await api.delete(PODS, "c", "y")
        await asyncio.sleep(1)
        assert (names("web"), names("db")) == ([], ["a", "b"])
        assert len(informer.store.by_index("namespace", "x")) == 2
        with pytest.raises(KeyError):
            informer.store.by_index("unknown", "x")
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())


def test_whole_objects_are_shared_with_who_needs_metadata_alone() -> None:
    async def main() -> None:
        api = FakeApi()
        fields = {"managedFields": [{"manager": "m"}], "labels": {"a": "b"}}
        api.load(PODS, {"metadata": {"name": "p", "namespace": "ns", **fields}, "spec": {"nodeName": "n"}})
        api.load(NODES, {"metadata": {"name": "n", **fields}, "spec": {"podCIDR": "x"}})
        factory = InformerFactory(api)
        pods = factory.informer(PODS)
        assert factory.informer(PODS, metadata_only=True) is pods
        nodes = factory.informer(NODES, metadata_only=True)
        assert factory.informer(NODES) is not nodes
        task = asyncio.create_task(factory.run())
        await factory.wait_synced()
        api.load(NODES, {"metadata": {"name": "late", **fields}, "spec": {"podCIDR": "y"}})
        await asyncio.sleep(1)
        for name in ("n", "late"):
            node = nodes.store.get(name)
            assert node is not None
            assert "spec" not in node
            assert node["metadata"]["labels"] == {"a": "b"}
            assert "managedFields" not in node["metadata"]
        assert [pod["spec"] for pod in pods.store.list()] == [{"nodeName": "n"}]
        task.cancel()
        await asyncio.wait({task})

    run_virtual(main())
