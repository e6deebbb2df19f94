"""What may not change, kind by kind: (kind, the change, the fields complained about)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.unit.apiserver.kinds.objects import fresh, put, resource_of

_NET, _STORE, _DRA = "networking.k8s.io/v1", "storage.k8s.io/v1", "resource.k8s.io/v1"


def _complaints(key: str, changes: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
    old = fresh(key)
    for path, value in (before or {}).items():
        put(old, path, value)
    new = deepcopy(old)
    for path, value in changes.items():
        put(new, path, value)
    return [error.message() for error in resource_of(key).strategy.validate_update(new, old)]


@pytest.mark.parametrize(
    ("key", "path", "value", "message"),
    [
        ("apps/v1/ControllerRevision", "data.a", 2, 'data: Invalid value: {"A":2}: field is immutable'),
        ("apps/v1/DaemonSet", "spec.selector.matchExpressions", [], "spec.selector: Invalid value: "),
        ("discovery.k8s.io/v1/EndpointSlice", "addressType", "FQDN", "addressType: Invalid value: "),
        ("events.k8s.io/v1/Event", "reason", "S", 'reason: Invalid value: "S": field is immutable'),
        ("node.k8s.io/v1/RuntimeClass", "handler", "i", 'handler: Invalid value: "i": field is immutable'),
        (
            "scheduling.k8s.io/v1/PriorityClass",
            "value",
            6,
            "value: Forbidden: may not be changed in an update.",
        ),
        (
            "scheduling.k8s.io/v1/PriorityClass",
            "preemptionPolicy",
            "Never",
            'preemptionPolicy: Invalid value: "Never": field is immutable',
        ),
        (f"{_NET}/IngressClass", "spec.controller", "b.c/d", "spec.controller: Invalid value: "),
        (f"{_NET}/IPAddress", "spec.parentRef.name", "o", "spec.parentRef: Invalid value: "),
        (f"{_NET}/ServiceCIDR", "spec.cidrs.0", "10.1.0.0/16", "spec.cidrs[0]: Invalid value: "),
        (
            "rbac.authorization.k8s.io/v1/RoleBinding",
            "roleRef.name",
            "o",
            'roleRef: Invalid value: {"Kind":"ClusterRole","Name":"o",',
        ),
        (
            f"{_STORE}/StorageClass",
            "parameters.a",
            "c",
            "parameters: Forbidden: updates to parameters are forbidden.",
        ),
        (
            f"{_STORE}/StorageClass",
            "reclaimPolicy",
            "Retain",
            "reclaimPolicy: Forbidden: updates to reclaimPolicy",
        ),
        (
            f"{_STORE}/StorageClass",
            "volumeBindingMode",
            "WaitForFirstConsumer",
            'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
        ),
        (
            f"{_STORE}/VolumeAttributesClass",
            "driverName",
            "o",
            "driverName: Forbidden: updates to driverName",
        ),
        (f"{_STORE}/VolumeAttachment", "spec.nodeName", "o", "spec: Invalid value: "),
        (f"{_STORE}/CSIDriver", "spec.attachRequired", False, "spec.attachedRequired: Invalid value: false"),
        (f"{_STORE}/CSINode", "spec.drivers.0.nodeID", "j", "spec.drivers: Invalid value: "),
        (f"{_STORE}/CSIStorageCapacity", "storageClassName", "d", "storageClassName: Invalid value: "),
        (f"{_DRA}/ResourceClaim", "spec.devices.requests.0.name", "q", "spec: Invalid value: "),
        (f"{_DRA}/ResourceClaimTemplate", "spec.spec.devices.requests.0.name", "q", "spec: Invalid value: "),
        (f"{_DRA}/ResourceSlice", "spec.driver", "e.example.com", "spec.driver: Invalid value: "),
    ],
)
def test_what_stays(key: str, path: str, value: Any, message: str) -> None:
    (found,) = set(_complaints(key, {path: value}))  # the original compares an event's reason twice
    assert found.startswith(message), found


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        (f"{_NET}/ServiceCIDR", "spec.cidrs", ["10.0.0.0/16", "fd00::/112"]),
        (f"{_STORE}/CSIDriver", "spec.requiresRepublish", True),
        (f"{_STORE}/CSINode", "spec.drivers.0.allocatable", {"count": 3}),
        (f"{_STORE}/CSIStorageCapacity", "capacity", "2Gi"),
        ("v1/Event", "message", "other"),
        ("events.k8s.io/v1/Event", "series", {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.000000Z"}),
    ],
)
def test_what_may_change(key: str, path: str, value: Any) -> None:
    assert _complaints(key, {path: value}) == []


@pytest.mark.parametrize(
    ("key", "path", "wrong"),
    [
        (f"{_NET}/NetworkPolicy", "spec.ingress.0.from", [{"ipBlock": {"cidr": "10.0.0.0/99"}}]),
        (f"{_NET}/Ingress", "spec.tls", [{"secretName": "S"}]),
        ("admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration", "webhooks.0.sideEffects", "Some"),
    ],
)
def test_what_was_wrong_already_may_stay(key: str, path: str, wrong: Any) -> None:
    """An older server let it in; it does not stand in the way of other changes. New mistakes are refused."""
    assert _complaints(key, {"metadata.labels": {"a": "c"}}, before={path: wrong}) == []
    assert _complaints(key, {path: wrong}) != []


def test_a_label_is_told_as_often_as_the_original_checks_it() -> None:
    changes = {"metadata.labels": {"bad key": "x"}}
    counts = {
        key: sum(text.startswith("metadata.labels") for text in _complaints(key, changes))
        for key in ("v1/ConfigMap", "v1/LimitRange", "apps/v1/Deployment", "policy/v1/PodDisruptionBudget")
    }
    assert counts == {
        "v1/ConfigMap": 4,
        "v1/LimitRange": 3,
        "apps/v1/Deployment": 3,
        "policy/v1/PodDisruptionBudget": 2,
    }


def _status(key: str, new: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    before, after = fresh(key), fresh(key)
    before["status"], after["status"] = old or {}, new
    strategy = resource_of(key).strategy.status
    assert strategy is not None
    return [error.message() for error in strategy.validate_update(after, before)]


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        (
            f"{_NET}/Ingress",
            {"loadBalancer": {"ingress": [{"hostname": "10.0.0.1"}]}},
            'status.loadBalancer.ingress[0].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
        ),
        (
            f"{_STORE}/VolumeAttachment",
            {"attached": False, "attachError": {"errorCode": -1}},
            "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            "apiregistration.k8s.io/v1/APIService",
            {"conditions": [{"type": "Available", "status": "Odd"}]},
            'status.conditions[0].status: Unsupported value: "Odd": supported values: "True", "False", "Unknown"',
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1/FlowSchema",
            {"conditions": [{"type": "Dangling"}, {"type": "Dangling"}]},
            'status.conditions[1].type: Duplicate value: "Dangling"',
        ),
        (
            f"{_DRA}/ResourceClaim",
            {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]},
            "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
        ),
    ],
)
def test_statuses(key: str, status: dict[str, Any], message: str) -> None:
    assert _status(key, status) == [message]


def test_an_allocation_is_made_of_the_claims_requests_and_stays() -> None:
    key = f"{_DRA}/ResourceClaim"
    result = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "dev"}
    allocated = {"allocation": {"devices": {"results": [result]}}}
    assert _status(key, allocated) == []
    assert _status(key, allocated, allocated) == []
    other = {"allocation": {"devices": {"results": [{**result, "request": "q"}]}}}
    (wrong,) = _status(key, other)
    assert wrong.startswith(
        'status.allocation.devices.results[0].request: Invalid value: "q": must be the name'
    )
    (moved,) = _status(key, other, allocated)
    assert moved.endswith("field is immutable")


_STARTED = {"startTime": "2026-01-02T03:04:05Z"}
_DONE = {
    **_STARTED,
    "completionTime": "2026-01-02T03:04:06Z",
    "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}],
}


@pytest.mark.parametrize(
    ("status", "before", "messages"),
    [
        (_STARTED, {}, []),
        (_DONE, _STARTED, []),
        (
            {**_DONE, "active": 1, "conditions": _DONE["conditions"][1:]},
            _STARTED,
            [
                "status.conditions: Invalid value: cannot set Complete=True condition without the "
                "SuccessCriteriaMet=true condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
            ],
        ),
        (
            {"conditions": [{"type": "Failed", "status": "True"}]},
            {},
            [
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true "
                "condition",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            _STARTED,
            _DONE,
            [
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ],
        ),
        (
            {"failed": 1, "uncountedTerminatedPods": {"failed": ["a", "a"]}},
            {**_STARTED, "failed": 2},
            [
                'status.uncountedTerminatedPods.failed[1]: Duplicate value: "a"',
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.startTime: Required value: startTime cannot be removed for unsuspended job",
            ],
        ),
        (
            {"ready": 2, "active": 1, "completedIndexes": "0"},
            {},
            [
                'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed '
                "completion mode",
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ],
        ),
    ],
)
def test_the_status_of_a_job(status: dict[str, Any], before: dict[str, Any], messages: list[str]) -> None:
    assert _status("batch/v1/Job", status, before) == messages


def test_a_job_that_waits_may_be_moved() -> None:
    change = {"spec.template.spec.nodeSelector": {"a": "b"}}
    assert _complaints("batch/v1/Job", change, before={"spec.suspend": True}) == []
    (found,) = _complaints("batch/v1/Job", change)
    assert found.startswith("spec.template: Invalid value: ")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"ip": "10.0.0.1", "ipMode": "VIP"}, None),
        ({"ip": "10.0.0.1"}, None),
        (
            {"hostname": "h", "ipMode": "VIP"},
            "status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set",
        ),
        (
            {"hostname": "10.0.0.1"},
            'status.loadBalancer.ingress[0].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
        ),
    ],
)
def test_the_status_of_a_service(entry: dict[str, Any], message: str | None) -> None:
    """What a balancer says of an address without a mode is that it is its own."""
    strategy, old = resource_of("v1/Service").strategy, fresh("v1/Service")
    new = {**deepcopy(old), "status": {"loadBalancer": {"ingress": [entry]}}}
    assert strategy.status is not None
    (refused,) = strategy.status.validate_update(new, old)
    assert refused.detail == "may only be used when `spec.type` is 'LoadBalancer'"
    for service in (new, old):
        service["spec"]["type"] = "LoadBalancer"
    strategy.default(new)
    found = [error.message() for error in strategy.status.validate_update(new, old)]
    assert found == ([message] if message else [])
