"""What an update through a subresource may change, and what it may not."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.registry.kinds.catalogue import strategy_class
from apiserver.registry.strategy import RegistryOptions, Strategy
from apiserver.registry.subresources import strategy_for

Object = dict[str, Any]
OPTIONS = RegistryOptions(now=lambda: datetime(2026, 1, 2, tzinfo=UTC))


def main(group: str, kind: str) -> Strategy:
    return strategy_class(group, kind)(GroupVersionKind(group, "v1", kind), True, OPTIONS)


def update(group: str, kind: str, subresource: str, old: Object, new: Object) -> tuple[Object, list[str]]:
    """(what would be stored, complaints)"""
    strategy = strategy_for(main(group, kind), subresource)
    assert strategy is not None
    new = copy.deepcopy(new)
    strategy.prepare_for_update(new, old)
    return new, [error.message() for error in strategy.validate_update(new, old)]


def obj(kind: str, **fields: Any) -> Object:
    return {
        "kind": kind,
        "apiVersion": "v1",
        "metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
        **fields,
    }


def changed(old: Object, **fields: Any) -> Object:
    return {**copy.deepcopy(old), **fields}


def container(name: str = "c", **fields: Any) -> Object:
    policies = {"terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
    return {"name": name, "image": "x", **policies, **fields}


def pod(**spec: Any) -> Object:
    given = {"containers": [container()], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", **spec}
    return obj("Pod", spec=given, status={"phase": "Running", "qosClass": "BestEffort"})


def test_only_some_kinds_let_labels_change_with_the_status() -> None:
    old = obj("Deployment", spec={"replicas": 1}, status={})
    new = changed(old, spec={"replicas": 9}, status={"replicas": 3})
    new["metadata"]["labels"] = {"a": "b"}
    stored, errors = update("apps", "Deployment", "status", old, new)
    assert (stored["spec"], stored["status"]) == ({"replicas": 1}, {"replicas": 3})
    assert "labels" not in stored["metadata"]
    assert errors == []
    stored, _ = update("apps", "ReplicaSet", "status", changed(old, kind="ReplicaSet"), new)
    assert stored["metadata"]["labels"] == {"a": "b"}
    stored, _ = update("storage.k8s.io", "VolumeAttachment", "status", old, new)
    assert "labels" not in stored["metadata"]


@pytest.mark.parametrize(
    ("group", "kind", "status", "complaints"),
    [
        ("apps", "Deployment", {"replicas": 1, "readyReplicas": 2},
         ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]),
        ("apps", "StatefulSet", {"replicas": 2, "availableReplicas": 2, "readyReplicas": 1},
         ["status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas"]),
        ("apps", "DaemonSet", {"numberReady": -1},
         ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"]),
        ("policy", "PodDisruptionBudget", {"expectedPods": -1},
         ["status.expectedPods: Invalid value: -1: must be greater than or equal to 0"]),
        ("apps", "ReplicaSet", {"replicas": 1, "fullyLabeledReplicas": 1}, []),
    ],
)  # fmt: skip
def test_numbers_of_a_status(group: str, kind: str, status: Object, complaints: list[str]) -> None:
    old = obj(kind, spec={}, status={})
    assert update(group, kind, "status", old, changed(old, status=status))[1] == complaints


@pytest.mark.parametrize(
    ("kind", "status", "complaint"),
    [
        ("Namespace", {"phase": "Terminating"},
         "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"),
        ("Pod", {"podIP": "bad"}, 'status.podIPs[0].ip: Invalid value: "bad": must be a valid IP address'),
        ("Pod", {"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]},
         "may specify no more than one IP for each IP family"),
        ("Pod", {"nominatedNodeName": "Bad Name"}, 'status.nominatedNodeName: Invalid value: "Bad Name"'),
        ("Pod", {"conditions": [{"type": "a b"}]}, 'status.conditions[0].type: Invalid value: "a b"'),
    ],
)  # fmt: skip
def test_statuses_of_core_kinds(kind: str, status: Object, complaint: str) -> None:
    old = pod() if kind == "Pod" else obj(kind, status={"phase": "Active"})
    errors = update("", kind, "status", old, changed(old, status=status))[1]
    assert any(complaint in error for error in errors), errors
    assert update("", kind, "status", old, old)[1] == []


def test_collisions_are_not_taken_back() -> None:
    old = obj("Deployment", spec={}, status={"collisionCount": 2})
    _, errors = update("apps", "Deployment", "status", old, changed(old, status={"collisionCount": 1}))
    assert errors == ["status.collisionCount: Invalid value: 1: cannot be decremented"]


def test_the_addresses_of_a_pod_agree() -> None:
    old = pod()
    for status, expected in (
        ({"podIP": "10.0.0.1"}, [{"ip": "10.0.0.1"}]),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}]}, [{"ip": "10.0.0.1"}]),
        (
            {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}]},
            [{"ip": "10.0.0.1"}, {"ip": "::1"}],
        ),
    ):
        stored, _ = update("", "Pod", "status", old, changed(old, status=status))
        assert stored["status"]["podIPs"] == expected
        assert stored["status"]["qosClass"] == "BestEffort"


def test_what_was_observed_of_a_pod_stays() -> None:
    old = changed(
        pod(), status={"observedGeneration": 3, "conditions": [{"type": "Ready", "observedGeneration": 2}]}
    )
    new = changed(old, status={"conditions": [{"type": "Ready"}, {"type": "Other"}]})
    stored, _ = update("", "Pod", "status", old, new)
    assert stored["status"]["observedGeneration"] == 3
    assert stored["status"]["conditions"] == [{"type": "Ready", "observedGeneration": 2}, {"type": "Other"}]


def test_an_ephemeral_container_joins_and_nothing_else_changes() -> None:
    old = pod()
    new = pod(ephemeralContainers=[container("dbg", targetContainerName="c")], nodeName="other")
    new["metadata"]["labels"] = {"a": "b"}
    stored, errors = update("", "Pod", "ephemeralcontainers", old, new)
    assert errors == []
    assert [c["name"] for c in stored["spec"]["ephemeralContainers"]] == ["dbg"]
    assert "nodeName" not in stored["spec"]
    assert stored["metadata"].get("labels") is None
    assert stored["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("ephemeral", "complaint"),
    [
        ([container("c")], 'spec.ephemeralContainers[0].name: Duplicate value: "c"'),
        ([container("d", targetContainerName="no")],
         'spec.ephemeralContainers[0].targetContainerName: Not found: "no"'),
        ([container("d", lifecycle={"preStop": {}})],
         "spec.ephemeralContainers[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container"),
    ],
)  # fmt: skip
def test_ephemeral_containers_that_are_refused(ephemeral: list[Object], complaint: str) -> None:
    assert update("", "Pod", "ephemeralcontainers", pod(), pod(ephemeralContainers=ephemeral))[1] == [
        complaint
    ]


def test_ephemeral_containers_stay() -> None:
    old = pod(ephemeralContainers=[container("dbg")])
    _, errors = update("", "Pod", "ephemeralcontainers", old, pod())
    assert errors == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "dbg" may not be removed\n'
    ]
    _, errors = update(
        "", "Pod", "ephemeralcontainers", old, pod(ephemeralContainers=[container("dbg", tty=True)])
    )
    assert 'existing ephemeral containers "dbg" may not be changed\n@@ -' in errors[0]


def sized(**amounts: Any) -> Object:
    return pod(containers=[container(resources=amounts)])


def test_a_resize_changes_resources_only() -> None:
    old = changed(sized(requests={"cpu": "1"}), status={"qosClass": "Burstable"})
    new = sized(requests={"cpu": "2"})
    new["spec"]["containers"][0]["image"] = "other"
    stored, errors = update("", "Pod", "resize", old, new)
    assert errors == []
    assert stored["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}
    assert stored["spec"]["containers"][0]["image"] == "x"


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        (sized(requests={"cpu": "1"}), "resource requests cannot be removed"),
        (sized(requests={"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}),
         "only cpu and memory resources are mutable"),
        (sized(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1Gi"}),
         "Pod QOS Class may not change as a result of resizing"),
    ],
)  # fmt: skip
def test_resizes_that_are_refused(new: Object, complaint: str) -> None:
    old = changed(sized(requests={"cpu": "1", "memory": "1Gi"}), status={"qosClass": "Burstable"})
    assert any(complaint in error for error in update("", "Pod", "resize", old, new)[1])


APPROVED = {"type": "Approved", "status": "True", "reason": "Ok"}
CSR = ("certificates.k8s.io", "CertificateSigningRequest")


def csr(**status: Any) -> Object:
    return obj("CertificateSigningRequest", spec={"request": "r"}, status=status)


def test_approval_stamps_conditions_and_leaves_the_certificate() -> None:
    stored, errors = update(*CSR, "approval", csr(), csr(conditions=[dict(APPROVED)], certificate="eA=="))
    moment = "2026-01-02T00:00:00Z"
    assert stored["status"] == {
        "conditions": [{**APPROVED, "lastUpdateTime": moment, "lastTransitionTime": moment}]
    }
    assert errors == []


@pytest.mark.parametrize(
    ("subresource", "old", "new", "complaint"),
    [
        ("approval", csr(conditions=[APPROVED]), csr(), 'updates may not remove a condition of type "Approved"'),
        ("approval", csr(), csr(conditions=[APPROVED, {"type": "Denied", "status": "True"}]),
         'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'),
        ("approval", csr(), csr(conditions=[{"type": "Approved", "status": "False"}]),
         'status.conditions[0].status: Unsupported value: "False": supported values: "True"'),
        ("approval", csr(), csr(conditions=[{"type": "Odd"}]), "status.conditions[0].status: Required value"),
        ("status", csr(), csr(conditions=[APPROVED]), 'updates may not add a condition of type "Approved"'),
        ("status", csr(), csr(certificate="bm90cGVt"), "must contain at least one CERTIFICATE PEM block"),
        ("status", csr(certificate="b2xk"), csr(certificate="bmV3"), "may not modify existing certificate content"),
    ],
)  # fmt: skip
def test_decisions_that_are_refused(subresource: str, old: Object, new: Object, complaint: str) -> None:
    errors = update(*CSR, subresource, old, new)[1]
    assert any(complaint in error for error in errors), errors


def test_kinds_without_a_subresource_have_no_rules_for_it() -> None:
    assert strategy_for(main("", "ConfigMap"), "status") is None
    assert strategy_for(main("apps", "Deployment"), "resize") is None
