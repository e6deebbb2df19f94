"""The words of `kubectl get`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.http.printers import printer
from apiserver.http.printers.common import duration
from apiserver.http.printers.pods import pod as print_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)
Object = dict[str, Any]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (660, "11m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (30 * 3600, "30h"),
        (3 * 86400 + 3600, "3d1h"),
        (100 * 86400, "100d"),
        (800 * 86400, "2y70d"),
        (-5, "<invalid>"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def pod(status: Object, *, containers: int = 1, deleting: bool = False, **spec: Any) -> Object:
    metadata = {"name": "p", "creationTimestamp": "2026-01-01T23:59:00Z"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T23:59:30Z"
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": f"c{n}"} for n in range(containers)], **spec},
        "status": status,
    }


def container(ready: bool = False, restarts: int = 0, name: str = "c0", **state: Any) -> Object:
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state}


RUNNING = container(ready=True, running={})
READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod({"phase": "Pending"}), ("Pending", 0, "0")),
        (pod({"phase": "Running", "containerStatuses": [RUNNING]}), ("Running", 1, "0")),
        (
            pod(
                {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ImagePullBackOff"})]}
            ),
            ("ImagePullBackOff", 0, "0"),
        ),
        (
            pod({"phase": "Running", "containerStatuses": [container(terminated={"exitCode": 3})]}),
            ("ExitCode:3", 0, "0"),
        ),
        (
            pod({"phase": "Failed", "containerStatuses": [container(terminated={"signal": 9})]}),
            ("Signal:9", 0, "0"),
        ),
        (pod({"phase": "Failed", "reason": "Evicted"}), ("Evicted", 0, "0")),
        (pod({"phase": "Running", "containerStatuses": [RUNNING]}, deleting=True), ("Terminating", 1, "0")),
        (pod({"phase": "Running", "reason": "NodeLost"}, deleting=True), ("Unknown", 0, "0")),
        (
            pod(
                {
                    "phase": "Running",
                    "conditions": [READY],
                    "containerStatuses": [
                        container(terminated={"reason": "Completed", "exitCode": 0}),
                        {**RUNNING, "name": "c1"},
                    ],
                },
                containers=2,
            ),
            ("Running", 1, "0"),
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [container(name="i0", running={})]},
                initContainers=[{"name": "i0"}, {"name": "i1"}],
            ),
            ("Init:0/2", 0, "0"),
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        container(name="i0", waiting={"reason": "CrashLoopBackOff"}, restarts=2)
                    ],
                },
                initContainers=[{"name": "i0"}],
            ),
            ("Init:CrashLoopBackOff", 0, "2"),
        ),
    ],
)
def test_pod_summary(obj: Object, expected: tuple[str, int, str]) -> None:
    _, ready, word, restarts, *_ = print_pod(obj, NOW)
    assert (word, int(ready.partition("/")[0]), restarts) == expected


def test_restarts_say_when_the_last_one_was() -> None:
    status = {
        **RUNNING,
        "restartCount": 3,
        "lastState": {"terminated": {"finishedAt": "2026-01-01T23:55:00Z"}},
    }
    assert print_pod(pod({"phase": "Running", "containerStatuses": [status]}), NOW)[3] == "3 (5m ago)"


def row(group: str, kind: str, obj: Object, columns: tuple[str, ...] = ("Name",)) -> list[Any]:
    shown = [[name, "string", "", 0] for name in columns]
    return printer(GroupVersionKind(group, "v1", kind), shown)({"metadata": {"name": "x"}, **obj}, NOW)


def test_rows_of_common_kinds() -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {
        "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template},
        "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
    }
    assert row("apps", "Deployment", deployment) == ["x", "2/3", 1, 2, "<unknown>", "c", "i", "a=b"]
    service = {
        "spec": {"type": "NodePort", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "nodePort": 30080}]}
    }
    assert row("", "Service", service) == [
        "x",
        "NodePort",
        "10.0.0.1",
        "<none>",
        "80:30080/TCP",
        "<unknown>",
        "<none>",
    ]
    node = {
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    }
    assert row("", "Node", node)[1:3] == ["NotReady,SchedulingDisabled", "<none>"]
    many = {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}]}
    assert row("", "Endpoints", many)[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."


def test_other_kinds_get_what_their_columns_name() -> None:
    obj = {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T23:00:00Z"}}
    assert row("", "LimitRange", obj, ("Name", "Created At")) == ["x", "2026-01-01T23:00:00Z"]
    assert row("new", "Thing", obj, ("Name", "Age", "What")) == ["x", "60m", "<none>"]
