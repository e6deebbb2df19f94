"""Disruption budgets: the status by table, and the controller on a fake API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from components.client.resources import POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS
from components.client.testing import FakeApi
from components.controllers.disruption.plan import Counts, counts, disrupted, failed, plan
from components.controllers.manager import ControllerManager
from components.controllers.options import ControllerOptions
from tests.support.virtual_time import run_virtual

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def pod(name: str, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}, **metadata},
        "status": {"phase": "Running", "conditions": [condition]},
    }


def budget(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default", "generation": 3},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        "status": status or {},
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, Counts(2, 3)),
        ({"minAvailable": "50%"}, Counts(5, 3)),
        ({"minAvailable": "0%"}, Counts(5, 0)),
        ({"maxUnavailable": 1}, Counts(5, 4)),
        ({"maxUnavailable": 0}, Counts(5, 5)),
        ({"maxUnavailable": "30%"}, Counts(5, 3)),
        ({"maxUnavailable": 9}, Counts(5, 0)),
        ({}, Counts(0, 0)),
    ],
)
def test_counts(spec: dict[str, Any], expected: Counts) -> None:
    assert counts(budget(**spec), [pod("a"), pod("b")], 5) == expected


def test_only_ready_pods_that_stay_are_healthy() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", deletionTimestamp="x"), pod("e")]
    found = plan(budget(), pods, Counts(5, 1), {"e": "2026-01-01T00:09:00Z"}, NOW)
    assert found is not None
    assert (found["currentHealthy"], found["disruptionsAllowed"], found["observedGeneration"]) == (2, 1, 3)
    assert found["disruptedPods"] == {"e": "2026-01-01T00:09:00Z"}
    (condition,) = found["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "SufficientPods")
    assert plan(budget(found), pods, Counts(5, 1), found["disruptedPods"], NOW) is None


def test_no_expected_pods_allow_nothing() -> None:
    found = plan(budget(), [], Counts(0, 0), {}, NOW)
    assert found is not None
    assert found["disruptionsAllowed"] == 0
    assert found["conditions"][0]["reason"] == "InsufficientPods"


def test_evicted_pods_are_awaited_for_two_minutes() -> None:
    noted = {name: f"2026-01-01T00:0{minute}:00Z" for name, minute in (("a", 9), ("b", 7), ("d", 9))}
    pods = [pod("a"), pod("b"), pod("c"), pod("d", deletionTimestamp="x")]
    found = disrupted(budget({"disruptedPods": noted}), pods, NOW)
    assert found.pods == {"a": noted["a"]}
    assert [p["metadata"]["name"] for p in found.overdue] == ["b"]
    assert found.next_check == datetime(2026, 1, 1, 0, 11, tzinfo=UTC)


def test_what_cannot_be_counted_allows_nothing() -> None:
    found = failed(budget({"disruptionsAllowed": 2, "observedGeneration": 2}), "why", NOW)
    assert found is not None
    assert found["disruptionsAllowed"] == 0
    assert (found["conditions"][0]["reason"], found["conditions"][0]["message"]) == ("SyncFailed", "why")


def test_the_controller_follows_pods() -> None:
    async def main() -> None:
        api = FakeApi(lambda: NOW)
        replica_set = await api.create(
            REPLICA_SETS, {"metadata": {"name": "web"}, "spec": {"replicas": 2}}, namespace="default"
        )
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": replica_set["metadata"]["uid"],
            "controller": True,
        }
        await api.create(POD_DISRUPTION_BUDGETS, budget(maxUnavailable=1), namespace="default")
        options = ControllerOptions(controllers=("disruption-controller",))
        manager = ControllerManager(api, options, now=lambda: NOW)  # type: ignore[arg-type]
        task = asyncio.ensure_future(manager.run())
        for name in ("a", "b"):
            created = await api.create(PODS, pod(name, ownerReferences=[owner]), namespace="default")
            created["status"] = pod(name)["status"]
            await api.update(PODS, created, subresource="status")
        await asyncio.sleep(5)
        found = api.peek(POD_DISRUPTION_BUDGETS, "default/web")
        assert found is not None
        status = found["status"]
        assert (status["expectedPods"], status["desiredHealthy"], status["disruptionsAllowed"]) == (2, 1, 1)
        task.cancel()
        await asyncio.wait({task})

    run_virtual(main())
