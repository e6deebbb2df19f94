"""The words of `kubectl get`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.negotiation import Accepted
from apiserver.http.printers import printer, row_conditions
from apiserver.http.printers.common import duration
from apiserver.http.printers.pods import pod as print_pod
from apiserver.http.render import Framing
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.storage.entry import Entry

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


def cells(group: str, kind: str, obj: Object) -> list[Any]:
    return printer(GroupVersionKind(group, "v1", kind), [])({"metadata": {"name": "x"}, **obj}, NOW)


def test_quota_in_requests_and_limits() -> None:
    status = {"hard": {"pods": "5", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1"}}
    shown = cells("", "ResourceQuota", {"status": status})
    assert shown[:3] == ["x", "cpu: 0/1, pods: 1/5", "limits.cpu: 0/2"]


def test_the_controller_of_a_revision() -> None:
    owner = {"kind": "StatefulSet", "apiVersion": "apps/v1", "name": "web", "controller": True}
    obj = {"metadata": {"name": "x", "ownerReferences": [owner]}, "revision": 3}
    assert cells("apps", "ControllerRevision", obj)[:3] == ["x", "statefulset.apps/web", 3]
    assert cells("apps", "ControllerRevision", {"revision": 3})[1] == "<none>"


def test_endpoints_count_what_they_do_not_show() -> None:
    addresses = [{"ip": f"10.0.0.{n}"} for n in range(4)]
    subset = {"addresses": addresses, "ports": [{"port": 80}]}
    shown = cells(
        "", "Endpoints", {"subsets": [subset, {"addresses": [{"ip": "::1"}], "ports": [{"port": 1}]}]}
    )
    assert shown[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."
    assert cells("", "Endpoints", {"subsets": [{"addresses": [{"ip": "::1"}], "ports": [{"port": 1}]}]})[
        1
    ] == ("[::1]:1")


@pytest.mark.parametrize(
    ("metric", "status", "text"),
    [
        ({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
         {"resource": {"current": {"averageUtilization": 7}}}, "cpu: 7%/80%"),
        ({"type": "Resource", "resource": {"name": "cpu", "target": {}}}, {}, "cpu: <unknown>/<auto>"),
        ({"type": "Pods", "pods": {"target": {"averageValue": "5"}}}, {}, "<unknown>/5"),
        ({"type": "External", "external": {"target": {"averageValue": "5"}}},
         {"external": {"current": {"averageValue": "2"}}}, "2/5 (avg)"),
        ({"type": "Object", "object": {"target": {"value": "5"}}}, {}, "<unknown>/5"),
        ({"type": "Other"}, {}, "<unknown type>"),
    ],
)  # fmt: skip
def test_metrics_of_an_autoscaler(metric: Object, status: Object, text: str) -> None:
    obj = {"spec": {"metrics": [metric]}, "status": {"currentMetrics": [status]}}
    assert cells("autoscaling", "HorizontalPodAutoscaler", obj)[2] == text


def test_access_modes_have_an_order_and_the_annotation_names_the_class() -> None:
    obj = {
        "metadata": {"name": "x", "annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
        "spec": {"accessModes": ["ReadWriteMany", "ReadWriteOnce"], "storageClassName": "new"},
    }
    shown = cells("", "PersistentVolume", obj)
    assert (shown[2], shown[6]) == ("RWO,RWX", "old")


def test_a_row_says_that_a_pod_is_over() -> None:
    gvk = GroupVersionKind("", "v1", "Pod")
    assert row_conditions(gvk, pod({"phase": "Running"})) == []
    assert row_conditions(gvk, pod({"phase": "Failed"}))[0]["message"] == "The pod failed."


def test_only_the_first_event_of_a_watch_tells_the_columns() -> None:
    resource = Registry.default(RegistryOptions()).lookup("", "v1", "configmaps")
    assert resource is not None
    framing = Framing(resource, Accepted(transform="Table"), "None")
    entry = Entry("k", codec.encode({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}), 5)
    first = codec.decode(framing.make("ADDED", entry))["object"]
    name = framing.name
    framing.once()
    second = codec.decode(framing.make("ADDED", entry))["object"]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert second["metadata"] == {"resourceVersion": "5"}
    assert framing.name != name
