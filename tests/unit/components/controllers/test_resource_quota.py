"""The books of quotas on a fake API server: taken up, counted, freed, and never freed too early."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver.api.meta import Object
from apiserver.api.quota import amounts
from components.client.resources import CONFIG_MAPS, PODS, REPLICA_SETS, RESOURCE_QUOTAS
from components.client.testing import FakeApi
from components.controllers.resourcequota.plan import balance
from tests.support.virtual_time import run_virtual
from tests.unit.components.controllers.test_cluster_controllers import DiscoverableApi, clock, manage

CONTROLLER = "resourcequota-controller"


def quota(limits: dict[str, str], **status: Any) -> Object:
    return {"metadata": {"name": "q", "namespace": "ns"}, "spec": {"hard": limits}, "status": status}


def pod(name: str, **status: Any) -> Object:
    containers = [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]
    return {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"containers": containers},
        "status": status,
    }


def status_of(api: FakeApi) -> Object:
    stored = api.peek(RESOURCE_QUOTAS, "ns/q")
    assert stored is not None
    return stored.get("status") or {}


def test_the_plan_compares_numbers_not_texts() -> None:
    hard = {"requests.cpu": "1000m"}
    settled = quota(hard, hard={"requests.cpu": "1"}, used={"requests.cpu": "0.5"})
    assert balance(settled, amounts.parse({"requests.cpu": "500m"})).quota is None
    lower = balance(settled, amounts.parse({"requests.cpu": "100m"}))
    assert lower.lowers
    assert lower.quota is not None
    assert lower.quota["status"] == {"hard": {"requests.cpu": "1"}, "used": {"requests.cpu": "100m"}}
    assert not balance(quota(hard), amounts.parse({"requests.cpu": "1"})).lowers


def test_limits_are_taken_up_and_what_is_there_is_counted() -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        hard = {
            "pods": "3",
            "requests.cpu": "1",
            "count/replicasets.apps": "2",
            "count/nothing.example.com": "1",
        }
        api.load(RESOURCE_QUOTAS, quota(hard))
        api.load(PODS, pod("a"), pod("b", phase="Succeeded"))
        api.load(REPLICA_SETS, {"metadata": {"name": "r", "namespace": "ns"}})
        await manage(api, 2, CONTROLLER)
        found = status_of(api)
        assert found["hard"] == hard
        assert found["used"] == {"count/replicasets.apps": "1", "pods": "1", "requests.cpu": "100m"}

    run_virtual(main())


def test_what_is_gone_or_done_is_freed() -> None:
    async def main() -> None:
        api = DiscoverableApi(clock)
        api.load(RESOURCE_QUOTAS, quota({"pods": "3", "configmaps": "3"}))
        api.load(PODS, pod("a"), pod("b"))
        api.load(CONFIG_MAPS, {"metadata": {"name": "m", "namespace": "ns"}})
        managing = asyncio.ensure_future(manage(api, 4, CONTROLLER))
        await asyncio.sleep(1)
        assert status_of(api)["used"] == {"configmaps": "1", "pods": "2"}
        await api.delete(CONFIG_MAPS, "m", "ns")
        await api.update(
            PODS, {**(api.peek(PODS, "ns/a") or {}), "status": {"phase": "Failed"}}, subresource="status"
        )
        await asyncio.sleep(1)
        assert status_of(api)["used"] == {"configmaps": "0", "pods": "1"}
        await managing

    run_virtual(main())


def test_what_was_just_charged_is_not_freed_before_it_is_stored() -> None:
    """Admission has charged a second pod, which is still on its way; one that never comes is freed later."""

    async def main() -> None:
        api = DiscoverableApi(clock)
        api.load(PODS, pod("a"))
        api.load(RESOURCE_QUOTAS, quota({"pods": "2"}, hard={"pods": "2"}, used={"pods": "2"}))
        managing = asyncio.ensure_future(manage(api, 4, CONTROLLER))
        await asyncio.sleep(0.2)
        assert status_of(api)["used"] == {"pods": "2"}
        await api.create(PODS, pod("b"), namespace="ns")
        await asyncio.sleep(2)
        assert status_of(api)["used"] == {"pods": "2"}
        await api.delete(PODS, "b", "ns")
        await asyncio.sleep(1)
        assert status_of(api)["used"] == {"pods": "1"}
        await managing

    run_virtual(main())


def test_nothing_is_freed_while_the_store_elects_a_leader() -> None:
    """Nothing is read or written for two seconds; what was charged before is stored as soon as that is over."""

    async def main() -> None:
        api = DiscoverableApi(clock)
        elected, answers = asyncio.Event(), api.list

        async def waits(gvr: Any, *args: Any, field_selector: str = "", **more: Any) -> Object:
            if field_selector:
                await elected.wait()
            return await answers(gvr, *args, field_selector=field_selector, **more)

        api.list = waits  # type: ignore[method-assign]
        api.load(PODS, pod("a"))
        api.load(RESOURCE_QUOTAS, quota({"pods": "2"}, hard={"pods": "2"}, used={"pods": "2"}))
        managing = asyncio.ensure_future(manage(api, 4, CONTROLLER))
        await asyncio.sleep(2)
        assert status_of(api)["used"] == {"pods": "2"}
        elected.set()
        await asyncio.sleep(0.1)
        await api.create(PODS, pod("b"), namespace="ns")
        await asyncio.sleep(1)
        assert status_of(api)["used"] == {"pods": "2"}
        assert not [action for action in api.actions if action.subresource == "status"]
        await managing

    run_virtual(main())
