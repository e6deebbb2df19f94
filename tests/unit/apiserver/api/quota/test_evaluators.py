"""What objects count against quotas: tables after the original's evaluators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.gvk import GroupResource
from apiserver.api.meta import Object
from apiserver.api.quota import amounts, evaluator_of, resource_named
from apiserver.api.quota.evaluator import total

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD, SERVICE, CLAIM = (GroupResource("", plural) for plural in ("pods", "services", "persistentvolumeclaims"))


def usage(resource: GroupResource, obj: Object) -> dict[str, str]:
    found = evaluator_of(resource).usage(obj, NOW)
    return amounts.write({name: amount for name, amount in found.items() if not name.startswith("count/")})


def pod(*containers: Object, **more: Any) -> Object:
    named = [{"name": f"c{n}", "resources": resources} for n, resources in enumerate(containers)]
    return {"metadata": more.pop("metadata", {}), "spec": {"containers": named, **more}}


def test_pods_count_what_they_request() -> None:
    obj = pod(
        {"requests": {"cpu": "100m", "example.com/gpu": "2"}, "limits": {"cpu": "1", "memory": "1Gi"}}, {}
    )
    assert usage(POD, obj) == {
        "cpu": "100m",
        "limits.cpu": "1",
        "limits.memory": "1Gi",
        "pods": "1",
        "requests.cpu": "100m",
        "requests.example.com/gpu": "2",
    }
    huge = usage(POD, pod({"requests": {"hugepages-2Mi": "4Mi"}}))
    assert huge == {"hugepages-2Mi": "4Mi", "pods": "1", "requests.hugepages-2Mi": "4Mi"}


@pytest.mark.parametrize(
    ("obj", "counts"),
    [
        ({**pod({}), "status": {"phase": "Running"}}, True),
        ({**pod({}), "status": {"phase": "Failed"}}, False),
        (
            pod({}, metadata={"deletionTimestamp": "2025-12-31T23:59:50Z", "deletionGracePeriodSeconds": 30}),
            True,
        ),
        (
            pod({}, metadata={"deletionTimestamp": "2025-12-31T23:59:00Z", "deletionGracePeriodSeconds": 30}),
            False,
        ),
    ],
)
def test_ended_and_overdue_pods_count_only_as_objects(obj: Object, counts: bool) -> None:
    found = evaluator_of(POD).usage(obj, NOW)
    assert found["count/pods"].value() == 1
    assert ("pods" in found) == counts


@pytest.mark.parametrize(
    ("spec", "ports", "balancers"),
    [
        ({"type": "ClusterIP", "ports": [{}, {}]}, 0, 0),
        ({"type": "NodePort", "ports": [{}, {}]}, 2, 0),
        ({"type": "LoadBalancer", "ports": [{}, {}]}, 2, 1),
        (
            {
                "type": "LoadBalancer",
                "ports": [{}, {"nodePort": 31000}],
                "allocateLoadBalancerNodePorts": False,
            },
            1,
            1,
        ),
    ],
)
def test_services(spec: Object, ports: int, balancers: int) -> None:
    found = usage(SERVICE, {"spec": spec})
    wanted = {"services": "1", "services.nodeports": str(ports), "services.loadbalancers": str(balancers)}
    assert found == wanted


def test_claims_count_by_storage_class_and_by_what_is_allocated() -> None:
    spec = {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}
    wanted = {
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
        "persistentvolumeclaims": "1",
        "requests.storage": "1Gi",
    }
    assert usage(CLAIM, {"spec": spec}) == wanted
    allocated = {"spec": spec, "status": {"allocatedResources": {"storage": "2Gi"}}}
    assert usage(CLAIM, allocated)["requests.storage"] == "2Gi"
    assert (
        usage(CLAIM, {"spec": {"resources": {"requests": {"storage": "1500m"}}}})["requests.storage"] == "2"
    )


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("count/deployments.apps", GroupResource("apps", "deployments")),
        ("count/secrets", GroupResource("", "secrets")),
        ("secrets", GroupResource("", "secrets")),
        ("requests.example.com/gpu", POD),
        ("gold.storageclass.storage.k8s.io/requests.storage", CLAIM),
        ("services.nodeports", SERVICE),
        ("example.com/gpu", None),
    ],
)
def test_the_kind_behind_a_name(name: str, resource: GroupResource | None) -> None:
    assert resource_named(name) == resource


def scope(name: str, operator: str = "Exists", *values: str) -> Object:
    return {"scopeName": name, "operator": operator, "values": list(values)}


AFFINE = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["other"]}]}}
CLASSED = pod({}, priorityClassName="high")


@pytest.mark.parametrize(
    ("selector", "obj", "selected"),
    [
        (scope("Terminating"), pod({}, activeDeadlineSeconds=5), True),
        (scope("NotTerminating"), pod({}, activeDeadlineSeconds=5), False),
        (scope("BestEffort"), pod({}), True),
        (scope("NotBestEffort"), pod({"requests": {"cpu": "1"}}), True),
        (scope("PriorityClass"), pod({}), False),
        (scope("PriorityClass", "In", "high"), CLASSED, True),
        (scope("PriorityClass", "NotIn", "high"), CLASSED, False),
        (scope("PriorityClass", "DoesNotExist"), pod({}), True),
        (scope("CrossNamespacePodAffinity"), pod({}, affinity=AFFINE), True),
        (scope("CrossNamespacePodAffinity"), pod({}), False),
    ],
)
def test_scopes_of_pods(selector: Object, obj: Object, selected: bool) -> None:
    quota = {"spec": {"hard": {"pods": "9"}, "scopeSelector": {"matchExpressions": [selector]}}}
    assert amounts.write(total(evaluator_of(POD), quota, [obj], NOW)) == {"pods": str(int(selected))}


def test_scopes_of_claims() -> None:
    fast = {"spec": {"volumeAttributesClassName": "fast"}}
    for selector, selected in ((scope("VolumeAttributesClass", "In", "fast"), 1), (scope("BestEffort"), 0)):
        quota = {
            "spec": {
                "hard": {"count/persistentvolumeclaims": 9},
                "scopeSelector": {"matchExpressions": [selector]},
            }
        }
        found = total(evaluator_of(CLAIM), quota, [fast], NOW)
        assert found["count/persistentvolumeclaims"].value() == selected


def test_usage_is_added_up_over_the_names_of_the_quota_alone() -> None:
    quota = {"spec": {"hard": {"requests.cpu": "9", "limits.cpu": "9", "services": "1"}}}
    found = total(evaluator_of(POD), quota, [pod({"requests": {"cpu": "200m"}})] * 3, NOW)
    assert amounts.write(found) == {"limits.cpu": "0", "requests.cpu": "600m"}
