"""What a controller did, as its record: the writes of one round of work, also those of tasks that it started."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from apiserver.api.journal import Journal, ObjectRef, Query, Record
from components.client import activity
from components.client.activity import Activity, acted, action_text, observed
from components.client.errors import ApiError
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from tests.support.virtual_time import run_virtual

PODS = "/api/v1/namespaces/default/pods"
NAME = "replicaset-controller"


@pytest.mark.parametrize(
    ("method", "path", "answer", "expected"),
    [
        ("POST", PODS, {"metadata": {"name": "web-1"}}, "create pod web-1"),
        ("DELETE", f"{PODS}/web-1", {"kind": "Status"}, "delete pod web-1"),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/web/status", {}, "patch deployment web status"),
        ("PUT", "/api/v1/namespaces/x/finalize", {}, "update namespace x finalize"),
        ("PATCH", "/api/v1/nodes/n1", {}, "patch node n1"),
        ("PUT", "/api/v1/namespaces/default/endpoints/web", {}, "update endpoints web"),
        ("POST", "/api/v1/namespaces/default/events", {"metadata": {"name": "e"}}, ""),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l", {}, ""),
    ],
)
def test_actions_in_words(method: str, path: str, answer: dict[str, object], expected: str) -> None:
    assert action_text(method, path, answer) == expected


def telling() -> Activity:
    return Activity(Journal("m1", lambda: datetime(2026, 1, 1, tzinfo=UTC)), {NAME: ("apps", "replicasets")})


def decisions(told: Activity) -> list[Record]:
    return told.journal.records(Query())


def test_a_round_that_did_something_is_told_and_an_idle_one_is_not() -> None:
    async def main() -> None:
        told = telling()
        activity.CURRENT.set(told)
        with observed(NAME, "default/web"):
            acted("GET", f"{PODS}/x", {})
        assert decisions(told) == []
        with observed(NAME, "default/web"):
            async with asyncio.TaskGroup() as group:
                for name in ("a", "b"):
                    group.create_task(_create(name))
        (record,) = decisions(told)
        assert record.object == ObjectRef("replicasets", "apps", "default", "web")
        assert (record.source, record.component, record.instance) == ("controller", NAME, "m1")
        assert record.detail["actions"] == ["create pod a", "create pod b"]
        assert record.detail["result"] == "done"

    asyncio.run(main())


async def _create(name: str) -> None:
    acted("POST", PODS, {"metadata": {"name": name}})


def test_what_failed_and_what_is_a_retry_is_told() -> None:
    async def main() -> None:
        told = telling()
        activity.CURRENT.set(told)
        with pytest.raises(ApiError), observed(NAME, "default/web"):
            raise ApiError(403, "Forbidden", "exceeded quota")
        with observed(NAME, "default/web", lambda: 1):
            pass
        failed, again = decisions(told)
        assert (failed.detail["result"], failed.detail["error"]) == ("error", "exceeded quota")
        assert "exceeded quota" in failed.summary
        assert (again.detail["result"], again.detail["retries"]) == ("done", 1)

    asyncio.run(main())


def test_that_another_write_came_first_is_no_failure() -> None:
    told = telling()
    activity.CURRENT.set(told)
    with pytest.raises(ApiError), observed(NAME, "default/web"):
        raise ApiError(409, "Conflict", "the object has been modified")
    (record,) = decisions(told)
    assert (
        record.summary
        == f"{NAME}: default/web was changed by somebody else meanwhile, and is looked at again"
    )
    assert (record.detail["result"], record.detail["error"]) == ("conflict", "")


def test_outside_of_a_process_that_tells_nothing_happens() -> None:
    with observed(NAME, "default/web"):
        acted("POST", PODS, {"metadata": {"name": "a"}})


def test_workers_tell_and_their_queue_can_be_seen_while_they_work() -> None:
    async def main() -> None:
        told, queue = telling(), WorkQueue()
        activity.CURRENT.set(told)
        tries: list[str] = []

        async def sync(key: str) -> None:
            tries.append(key)
            assert told.queues[NAME].processing == 1
            if len(tries) == 1:
                raise ApiError(409, "Conflict", "modified")
            acted("DELETE", f"{PODS}/old", {})

        work = asyncio.create_task(run_workers(queue, sync, 1, NAME))
        queue.add("default/web")
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        assert told.queues[NAME].waiting == 1
        await asyncio.sleep(60)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert told.queues == {}
        assert [r.detail["result"] for r in decisions(told)] == ["conflict", "done"]
        assert decisions(told)[1].detail["retries"] == 1

    run_virtual(main())
