"""What is refused in a pod, part by part: (change of a good pod, the fields that are complained about)."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.field_errors import FieldError
from apiserver.validation.pods import validate_new_pod, validate_pod

FIRST = "spec.containers[0]"
REF = {"apiVersion": "v1", "fieldPath": "metadata.name"}


def container(**more: Any) -> dict[str, Any]:
    good = {"name": "c", "image": "x", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
    return {**good, **more}


def errors(**spec: Any) -> list[FieldError]:
    good = {"containers": [container()], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    pod = {"metadata": {"name": "p"}, "spec": {**good, **spec}}
    return validate_pod(pod, {}) + validate_new_pod(pod, {})


def complaints(**spec: Any) -> list[str]:
    return [error.message() for error in errors(**spec)]


def test_a_good_pod_is_taken() -> None:
    probe = {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}, "timeoutSeconds": 1}
    good = container(
        livenessProbe=probe,
        readinessProbe=probe,
        lifecycle={"preStop": {"sleep": {"seconds": 1}}},
        env=[{"name": "A", "valueFrom": {"fieldRef": REF}}],
        envFrom=[{"configMapRef": {"name": "m"}}],
        ports=[{"containerPort": 80, "protocol": "TCP"}],
        resources={"limits": {"example.com/gpu": "1", "cpu": "1"}, "requests": {"example.com/gpu": "1"}},
        securityContext={"runAsUser": 0, "allowPrivilegeEscalation": False},
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    term = {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    assert not errors(
        containers=[good],
        volumes=[{"name": "v", "emptyDir": {}}],
        affinity={"nodeAffinity": required},
        topologySpreadConstraints=[spread],
        tolerations=[{"operator": "Exists"}],
        securityContext={"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"env": [{"name": "=", "value": "x"}]}, ["env[0].name"]),
        ({"env": [{"name": "A", "valueFrom": {}}]}, ["env[0].valueFrom"]),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": REF}}]}, ["env[0].valueFrom"]),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {**REF, "fieldPath": "spec.x"}}}]},
            ["env[0].valueFrom.fieldRef.fieldPath"],
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]},
            ["env[0].valueFrom.resourceFieldRef.resource"],
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
            ["env[0].valueFrom.secretKeyRef.key"],
        ),
        ({"envFrom": [{}]}, ["envFrom[0]"]),
        ({"livenessProbe": {}}, ["livenessProbe"]),
        ({"livenessProbe": {"tcpSocket": {"port": 0}}}, ["livenessProbe.tcpSocket.port"]),
        (
            {"livenessProbe": {"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}},
            ["livenessProbe.tcpSocket"],
        ),
        (
            {"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}},
            ["livenessProbe.successThreshold"],
        ),
        (
            {"startupProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 0}},
            ["startupProbe.terminationGracePeriodSeconds"],
        ),
        (
            {"readinessProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 1}},
            ["readinessProbe.terminationGracePeriodSeconds"],
        ),
        ({"lifecycle": {"postStart": {"exec": {}}}}, ["lifecycle.postStart.exec.command"]),
        ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}, ["resources.requests"]),
        ({"resources": {"requests": {"a.b/c": "1"}}}, ["resources.limits"]),
        ({"resources": {"requests": {"a.b/c": "1"}, "limits": {"a.b/c": "2"}}}, ["resources.requests"]),
        ({"resources": {"limits": {"a.b/c": "1500m"}}}, ["resources.limits[a.b/c]"]),
        ({"resources": {"limits": {"hugepages-2Mi": "1Mi"}}}, ["resources"]),
        ({"resources": {"limits": {"odd": "1"}}}, ["resources.limits[odd]"] * 2),
        ({"securityContext": {"runAsUser": -1}}, ["securityContext.runAsUser"]),
        ({"securityContext": {"procMount": "Odd"}}, ["securityContext.procMount"]),
        (
            {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
            ["securityContext.seccompProfile.localhostProfile"],
        ),
        (
            {"volumeMounts": [{"name": "no", "mountPath": "/x", "subPath": "../y"}]},
            ["volumeMounts[0].name", "volumeMounts[0].subPath"],
        ),
    ],
)
def test_parts_of_a_container(part: dict[str, Any], expected: list[str]) -> None:
    found = errors(containers=[container(**part)])
    assert [error.field for error in found] == [f"{FIRST}.{field}" for field in expected]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ephemeralContainers": [container()]}, ["spec.ephemeralContainers"]),
        ({"containers": [container(), container()]}, ["spec.containers[1].name"]),
        ({"initContainers": [container()]}, ["spec.initContainers[0].name"]),
        ({"volumes": [{"name": "v"}]}, ["spec.volumes[0]"]),
        ({"volumes": [{"name": "v", "hostPath": {"path": "../x"}}]}, ["spec.volumes[0].hostPath.path"]),
        ({"volumes": [{"name": "v", "emptyDir": {}}] * 2}, ["spec.volumes[1].name"]),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 512}}]},
            ["spec.volumes[0].configMap.defaultMode"],
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {
                            "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 1}}]
                        },
                    }
                ]
            },
            ["spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds"],
        ),
        (
            {"securityContext": {"sysctls": [{"name": "a"}, {"name": "a"}]}},
            ["spec.securityContext.sysctls[1].name"],
        ),
        (
            {"shareProcessNamespace": True, "hostPID": True, "securityContext": {"fsGroup": 1}},
            ["spec.securityContext.shareProcessNamespace"],
        ),
        ({"hostUsers": False, "hostNetwork": True}, ["spec.hostNetwork"]),
        ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, ["spec.schedulingGates[1]"]),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, ["spec.tolerations[0].effect"]),
    ],
)
def test_parts_of_a_pod(spec: dict[str, Any], expected: list[str]) -> None:
    assert [error.field for error in errors(**spec)] == expected


def test_a_volume_with_an_error_does_not_take_its_name() -> None:
    broken, good = {"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}, {"name": "v", "emptyDir": {}}
    assert complaints(volumes=[broken, good]) == [
        "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"
    ]


def test_host_ports_are_taken_once_in_a_pod() -> None:
    port = {"containerPort": 80, "hostPort": 80, "protocol": "TCP"}
    two = [container(ports=[port]), container(name="d", ports=[port])]
    assert complaints(containers=two) == ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"']


def test_an_internal_value_is_printed_with_the_names_of_the_originals_fields() -> None:
    context = {"allowPrivilegeEscalation": False, "privileged": True, "capabilities": {"add": ["X"]}}
    (found,) = complaints(containers=[container(securityContext=context)])
    assert found.startswith(
        f'{FIRST}.securityContext: Invalid value: {{"AllowPrivilegeEscalation":false,"Privileged":true,'
        '"Capabilities":{"Add":["X"]}}: cannot set'
    )


@pytest.mark.parametrize("weight", [0, 101])
def test_a_weight_is_between_1_and_100(weight: int) -> None:
    affinity = {
        kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, **term}]}
        for kind, term in (
            ("nodeAffinity", {"preference": {}}),
            ("podAffinity", {"podAffinityTerm": {"topologyKey": "zone"}}),
            ("podAntiAffinity", {"podAffinityTerm": {"topologyKey": "zone"}}),
        )
    }
    found = errors(affinity=affinity)
    assert [error.field.rpartition(".")[2] for error in found] == ["weight"] * 3
    assert {error.detail for error in found} == {"must be in the range 1-100"}
