"""What a server fills in, kind by kind (``zz_generated.defaults.go`` and ``defaults.go`` of each group)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.apiserver.kinds.objects import at, fresh, put, resource_of

_POD = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "containers.0.imagePullPolicy": "Always",
    "containers.0.terminationMessagePath": "/dev/termination-log",
    "containers.0.terminationMessagePolicy": "File",
    "containers.0.resources": {},
}
_HOOK = {
    "webhooks.0.failurePolicy": "Fail",
    "webhooks.0.matchPolicy": "Equivalent",
    "webhooks.0.namespaceSelector": {},
    "webhooks.0.objectSelector": {},
    "webhooks.0.timeoutSeconds": 10,
    "webhooks.0.clientConfig.service.port": 443,
    "webhooks.0.rules.0.scope": "*",
}
_RBAC = "rbac.authorization.k8s.io"


def _below(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{path}": value for path, value in values.items()}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("v1/Endpoints", {"subsets.0.ports.0.protocol": "TCP"}),
        (
            "v1/LimitRange",
            {"spec.limits.0.default": {"cpu": "1"}, "spec.limits.0.defaultRequest": {"cpu": "1"}},
        ),
        (
            "v1/Namespace",
            {"metadata.labels": {"kubernetes.io/metadata.name": "t"}, "spec.finalizers": ["kubernetes"]},
        ),
        ("v1/Node", {"status.allocatable": {"cpu": "1"}}),
        ("v1/PersistentVolumeClaim", {"spec.volumeMode": "Filesystem", "status.phase": "Pending"}),
        (
            "v1/PersistentVolume",
            {
                "spec.persistentVolumeReclaimPolicy": "Retain",
                "spec.volumeMode": "Filesystem",
                "spec.iscsi.iscsiInterface": "default",
            },
        ),
        (
            "v1/Pod",
            {
                **_below("spec", _POD),
                "spec.enableServiceLinks": True,
                "spec.containers.0.ports.0.protocol": "TCP",
            },
        ),
        ("v1/PodTemplate", _below("template.spec", _POD)),
        (
            "v1/ReplicationController",
            {
                **_below("spec.template.spec", _POD),
                "spec.replicas": 1,
                "spec.selector": {"a": "b"},
                "metadata.labels": {"a": "b"},
            },
        ),
        ("v1/Secret", {"type": "Opaque", "data": {"a": "Yg=="}}),
        ("v1/ServiceAccount", {"secrets": [{"name": "s"}]}),
        (
            "v1/Service",
            {
                "spec.type": "ClusterIP",
                "spec.sessionAffinity": "None",
                "spec.internalTrafficPolicy": "Cluster",
                "spec.ports.0.protocol": "TCP",
                "spec.ports.0.targetPort": 80,
            },
        ),
        ("apiregistration.k8s.io/v1/APIService", {"spec.service.port": 443}),
        (
            "apps/v1/DaemonSet",
            {
                **_below("spec.template.spec", _POD),
                "spec.revisionHistoryLimit": 10,
                "spec.updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
                },
            },
        ),
        (
            "apps/v1/Deployment",
            {
                **_below("spec.template.spec", _POD),
                "spec.replicas": 1,
                "spec.revisionHistoryLimit": 10,
                "spec.progressDeadlineSeconds": 600,
                "spec.strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
            },
        ),
        ("apps/v1/ReplicaSet", {**_below("spec.template.spec", _POD), "spec.replicas": 1}),
        (
            "apps/v1/StatefulSet",
            {
                "spec.replicas": 1,
                "spec.revisionHistoryLimit": 10,
                "spec.podManagementPolicy": "OrderedReady",
                "spec.updateStrategy.rollingUpdate.partition": 0,
                "spec.persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": "Retain",
                    "whenScaled": "Retain",
                },
            },
        ),
        (
            "autoscaling/v2/HorizontalPodAutoscaler",
            {
                "spec.minReplicas": 1,
                "spec.metrics.0.resource.target": {"type": "Utilization", "averageUtilization": 80},
                "spec.behavior.scaleUp.policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ],
                "spec.behavior.scaleUp.stabilizationWindowSeconds": 0,
                "spec.behavior.scaleDown.selectPolicy": "Max",
            },
        ),
        (
            "autoscaling/v1/HorizontalPodAutoscaler",
            {"spec.minReplicas": 1, "spec.targetCPUUtilizationPercentage": 80},
        ),
        (
            "batch/v1/CronJob",
            {
                "spec.concurrencyPolicy": "Allow",
                "spec.suspend": False,
                "spec.successfulJobsHistoryLimit": 3,
                "spec.failedJobsHistoryLimit": 1,
            },
        ),
        (
            "batch/v1/Job",
            {
                "spec.completions": 1,
                "spec.parallelism": 1,
                "spec.backoffLimit": 6,
                "spec.completionMode": "NonIndexed",
                "spec.suspend": False,
                "spec.podReplacementPolicy": "TerminatingOrFailed",
            },
        ),
        ("networking.k8s.io/v1/IngressClass", {"spec.parameters.scope": "Cluster"}),
        (
            "networking.k8s.io/v1/NetworkPolicy",
            {"spec.policyTypes": ["Ingress", "Egress"], "spec.ingress.0.ports.0.protocol": "TCP"},
        ),
        (f"{_RBAC}/v1/ClusterRoleBinding", {"roleRef.apiGroup": _RBAC, "subjects.0.apiGroup": _RBAC}),
        (f"{_RBAC}/v1/RoleBinding", {"roleRef.apiGroup": _RBAC}),
        (
            "storage.k8s.io/v1/CSIDriver",
            {
                "spec.attachRequired": True,
                "spec.podInfoOnMount": False,
                "spec.storageCapacity": False,
                "spec.fsGroupPolicy": "ReadWriteOnceWithFSType",
                "spec.volumeLifecycleModes": ["Persistent"],
                "spec.requiresRepublish": False,
                "spec.seLinuxMount": False,
            },
        ),
        (
            "storage.k8s.io/v1/StorageClass",
            {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        ),
        (
            "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
            {
                "spec.failurePolicy": "Fail",
                "spec.matchConstraints.matchPolicy": "Equivalent",
                "spec.matchConstraints.resourceRules.0.scope": "*",
            },
        ),
        (
            "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding",
            {
                "spec.matchResources": {
                    "matchPolicy": "Equivalent",
                    "namespaceSelector": {},
                    "objectSelector": {},
                }
            },
        ),
        (
            "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration",
            {**_HOOK, "webhooks.0.reinvocationPolicy": "Never"},
        ),
        ("admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy", {"spec.failurePolicy": "Fail"}),
        ("admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration", _HOOK),
        ("scheduling.k8s.io/v1/PriorityClass", {"preemptionPolicy": "PreemptLowerPriority"}),
        ("discovery.k8s.io/v1/EndpointSlice", {"ports.0.name": "", "ports.0.protocol": "TCP"}),
        (
            "resource.k8s.io/v1/ResourceClaim",
            {
                "spec.devices.requests.0.exactly.allocationMode": "ExactCount",
                "spec.devices.requests.0.exactly.count": 1,
            },
        ),
        ("resource.k8s.io/v1/ResourceClaimTemplate", {"spec.spec.devices.requests.0.exactly.count": 1}),
        ("flowcontrol.apiserver.k8s.io/v1/FlowSchema", {"spec.matchingPrecedence": 1000}),
        (
            "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration",
            {
                "spec.limited.nominalConcurrencyShares": 30,
                "spec.limited.lendablePercent": 0,
                "spec.limited.limitResponse.queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50},
            },
        ),
    ],
)
def test_defaults(key: str, expected: dict[str, Any]) -> None:
    obj = fresh(key)
    assert {path: at(obj, path) for path in expected} == expected


@pytest.mark.parametrize(
    ("key", "path", "value", "field", "expected"),
    [
        ("v1/Pod", "spec.volumes", [{"name": "v"}], "spec.volumes.0.emptyDir", {}),
        ("v1/Pod", "spec.volumes", [{"name": "v", "secret": {}}], "spec.volumes.0.secret.defaultMode", 0o644),
        (
            "v1/Pod",
            "spec.volumes",
            [{"name": "v", "image": {"reference": "a/b:1"}}],
            "spec.volumes.0.image.pullPolicy",
            "IfNotPresent",
        ),
        ("v1/Pod", "spec.containers.0.image", "x:1", "spec.containers.0.imagePullPolicy", "IfNotPresent"),
        ("v1/Pod", "spec.hostNetwork", True, "spec.containers.0.ports.0.hostPort", 80),
        ("v1/Service", "spec.type", "NodePort", "spec.externalTrafficPolicy", "Cluster"),
        (
            "v1/Service",
            "spec.sessionAffinity",
            "ClientIP",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            10800,
        ),
        ("batch/v1/Job", "spec.backoffLimitPerIndex", 1, "spec.backoffLimit", 2**31 - 1),
        (
            "resource.k8s.io/v1/ResourceClaim",
            "spec.devices.requests.0.exactly.tolerations",
            [{"key": "a"}],
            "spec.devices.requests.0.exactly.tolerations.0.operator",
            "Equal",
        ),
    ],
)
def test_defaults_that_depend(key: str, path: str, value: Any, field: str, expected: Any) -> None:
    """A value is set before defaults are: they are taken away first, as far as they follow from it."""
    obj = fresh(key)
    for derived in ("spec.backoffLimit", "spec.containers.0.imagePullPolicy"):
        if derived == field:
            put(obj, derived, None)
    put(obj, path, value)
    resource_of(key).strategy.default(obj)
    assert at(obj, field) == expected


def test_a_new_local_api_service_is_available() -> None:
    key = "apiregistration.k8s.io/v1/APIService"
    obj = fresh(key)
    put(obj, "spec.service", None)
    resource_of(key).strategy.prepare_for_create(obj)
    assert at(obj, "status.conditions.0.reason") == "Local"


def test_a_driver_has_a_generation_once_it_has_changed() -> None:
    key = "storage.k8s.io/v1/CSIDriver"
    old, new = fresh(key), fresh(key)
    put(new, "spec.podInfoOnMount", True)
    resource_of(key).strategy.prepare_for_update(new, old)
    assert "generation" not in old["metadata"]
    assert new["metadata"]["generation"] == 1
