"""What is refused in objects of the core, apps, batch and autoscaling groups: (spec, the fields complained about)."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupVersionKind
from apiserver.validation.dispatch import validate_create, validate_update

V1, APPS, BATCH = ("", "v1"), ("apps", "v1"), ("batch", "v1")
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}}
CONTAINER = {"name": "c", "image": "x", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
POD = {"containers": [CONTAINER], "dnsPolicy": "ClusterFirst"}
LABELS = {"a": "b"}
ALWAYS = {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Always"}}
ONCE = {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}
SET = {
    "selector": {"matchLabels": LABELS},
    "template": ALWAYS,
    "podManagementPolicy": "Parallel",
    "updateStrategy": {"type": "RollingUpdate"},
}
JOB = {"manualSelector": True, "selector": {"matchLabels": LABELS}, "template": ONCE}
CRON = {"schedule": "*/5 * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": {"template": ONCE}}}
SCALER = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}
SERVICE = {"ports": [{"port": 80, "protocol": "TCP"}], "type": "ClusterIP", "sessionAffinity": "None"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}


def gvk(group: tuple[str, str], kind: str) -> GroupVersionKind:
    return GroupVersionKind(*group, kind)


def errors(group: tuple[str, str], kind: str, spec: dict[str, Any], **more: Any) -> list[FieldError]:
    obj = {"metadata": {"name": "t", "namespace": "n", **more}, "spec": spec}
    if kind in ("PersistentVolume", "Node"):
        del obj["metadata"]["namespace"]
    return validate_create(gvk(group, kind), obj, "namespace" in obj["metadata"], {})


@pytest.mark.parametrize(
    ("group", "kind", "good", "change", "fields"),
    [
        (V1, "PersistentVolumeClaim", CLAIM, {}, []),
        (V1, "PersistentVolumeClaim", CLAIM, {"accessModes": []}, ["accessModes"]),
        (
            V1,
            "PersistentVolumeClaim",
            CLAIM,
            {"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]},
            ["accessModes"],
        ),
        (V1, "PersistentVolumeClaim", CLAIM, {"resources": {}}, ["resources[storage]"]),
        (
            V1,
            "PersistentVolumeClaim",
            CLAIM,
            {"resources": {"requests": {"storage": 0}}},
            ["resources[storage]"],
        ),
        (V1, "PersistentVolumeClaim", CLAIM, {"volumeMode": "Odd"}, ["volumeMode"]),
        (V1, "PersistentVolume", VOLUME, {}, []),
        (V1, "PersistentVolume", VOLUME, {"capacity": {}}, ["capacity", "capacity"]),
        (V1, "PersistentVolume", VOLUME, {"hostPath": {"path": "/a/../b"}}, ["hostPath.path"]),
        (V1, "PersistentVolume", VOLUME, {"nfs": {"server": "s", "path": "/"}}, ["nfs"]),
        (V1, "PersistentVolume", VOLUME, {"hostPath": None, "local": {"path": "/a"}}, ["nodeAffinity"]),
        (
            V1,
            "PersistentVolume",
            VOLUME,
            {"persistentVolumeReclaimPolicy": "Odd"},
            ["persistentVolumeReclaimPolicy"],
        ),
        (V1, "Node", {}, {"podCIDR": "10.0.0.0"}, ["podCIDRs[0]"]),
        (V1, "Node", {}, {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}, ["podCIDRs"]),
        (V1, "ResourceQuota", {}, {"hard": {"pods": "1", "cpu": "1", "a.b/c": 1}}, []),
        (V1, "ResourceQuota", {}, {"hard": {"pods": "0.5"}}, ["hard[pods]"]),
        (V1, "ResourceQuota", {}, {"hard": {"pods": 1}, "scopes": ["Odd"]}, ["scopes"]),
        (V1, "LimitRange", {}, {"limits": [{"type": "Pod", "max": {"cpu": 2}, "min": {"cpu": 1}}]}, []),
        (
            V1,
            "LimitRange",
            {},
            {"limits": [{"type": "Pod", "maxLimitRequestRatio": {"cpu": "0.5"}}]},
            ["limits[0].maxLimitRequestRatio[cpu]"],
        ),
        (V1, "Service", SERVICE, {}, []),
        (V1, "Service", SERVICE, {"externalIPs": ["169.254.0.1"]}, ["externalIPs[0]"]),
        (V1, "Service", SERVICE, {"loadBalancerSourceRanges": ["10.0.0.0/8"]}, ["LoadBalancerSourceRanges"]),
        (V1, "Service", SERVICE, {"internalTrafficPolicy": "Odd"}, ["internalTrafficPolicy"]),
        (APPS, "StatefulSet", SET, {}, []),
        (
            APPS,
            "StatefulSet",
            SET,
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}},
            ["updateStrategy.rollingUpdate.partition"],
        ),
        (
            APPS,
            "StatefulSet",
            SET,
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}},
            ["updateStrategy.rollingUpdate.maxUnavailable"],
        ),
        (APPS, "StatefulSet", SET, {"selector": None}, ["selector", "template.metadata.labels"]),
        (
            APPS,
            "ReplicaSet",
            {"selector": {"matchLabels": LABELS}, "template": ALWAYS},
            {"selector": {"matchExpressions": [{"key": "a", "operator": "Odd"}]}},
            ["selector.matchExpressions[0].operator", "selector"],
        ),
        (BATCH, "Job", JOB, {}, []),
        (BATCH, "Job", JOB, {"manualSelector": False}, ["selector"]),
        (BATCH, "Job", JOB, {"completionMode": "Indexed"}, ["completions"]),
        (BATCH, "CronJob", CRON, {}, []),
        (BATCH, "CronJob", CRON, {"schedule": "@daily", "timeZone": "Europe/Berlin"}, []),
        (BATCH, "CronJob", CRON, {"schedule": "@odd"}, ["schedule"]),
        (BATCH, "CronJob", CRON, {"schedule": "61 * * * *"}, ["schedule"]),
        (BATCH, "CronJob", CRON, {"timeZone": "Local"}, ["timeZone"]),
        (("autoscaling", "v2"), "HorizontalPodAutoscaler", SCALER, {}, []),
        (
            ("autoscaling", "v2"),
            "HorizontalPodAutoscaler",
            SCALER,
            {"metrics": [CPU]},
            ["metrics[0].resource.target.averageUtilization"],
        ),
        (
            ("autoscaling", "v2"),
            "HorizontalPodAutoscaler",
            SCALER,
            {
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {"metric": {"name": "m"}, "target": {"type": "Value", "value": 1}},
                    }
                ]
            },
            ["metrics[0].pods.target.averageValue"],
        ),
    ],
)
def test_specs(
    group: tuple[str, str], kind: str, good: dict[str, Any], change: dict[str, Any], fields: list[str]
) -> None:
    assert [error.field for error in errors(group, kind, {**good, **change})] == [f"spec.{f}" for f in fields]


def test_a_taint_is_told_below_the_metadata() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    (found,) = errors(V1, "Node", {"taints": [taint, taint]})
    assert found.field == "metadata.taints[1]"
    assert found.value == {"Key": "a", "Effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ({}, {"volumeName": "v"}, []),
        ({"volumeName": "v"}, {"volumeName": "v", "resources": {"requests": {"storage": "2Gi"}}}, []),
        ({}, {"resources": {"requests": {"storage": "2Gi"}}}, ["spec"]),
        ({}, {"accessModes": ["ReadOnlyMany"]}, ["spec"]),
        (
            {"volumeName": "v"},
            {"volumeName": "v", "resources": {"requests": {"storage": "1Mi"}}},
            ["spec.resources.requests.storage"],
        ),
    ],
)
def test_what_may_change_in_a_claim(before: dict[str, Any], after: dict[str, Any], fields: list[str]) -> None:
    kind = gvk(V1, "PersistentVolumeClaim")
    old = {"metadata": {"name": "t", "namespace": "n"}, "spec": {**CLAIM, **before}}
    new = {"metadata": {"name": "t", "namespace": "n"}, "spec": {**CLAIM, **after}}
    assert [error.field for error in validate_update(kind, new, old, {})] == fields


def test_a_volumes_source_stays() -> None:
    old = {"metadata": {"name": "t"}, "spec": VOLUME}
    new = {"metadata": {"name": "t"}, "spec": {**VOLUME, "hostPath": {"path": "/b"}}}
    (found,) = validate_update(gvk(V1, "PersistentVolume"), new, old, {})
    assert found.message().startswith("spec: Forbidden: spec.persistentvolumesource is immutable")


@pytest.mark.parametrize(
    ("kind", "data", "complaint"),
    [
        ("kubernetes.io/dockerconfigjson", "e30=", ""),
        ("kubernetes.io/dockerconfigjson", "bm8=", "invalid character 'o' in literal null (expecting 'u')"),
        ("kubernetes.io/dockerconfigjson", "W10=", "json: cannot unmarshal array into Go value of type"),
    ],
)
def test_a_secret_for_a_registry_is_json(kind: str, data: str, complaint: str) -> None:
    secret = {"metadata": {"name": "t", "namespace": "n"}, "type": kind, "data": {".dockerconfigjson": data}}
    found = validate_create(gvk(V1, "Secret"), secret, True, {})
    assert [error.detail[: len(complaint)] for error in found] == ([complaint] if complaint else [])
