"""Definitions of widely used projects, as published and as large as they are, with kubectl: `definitions/published`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server import api_server
from tests.e2e.test_custom_resources import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PUBLISHED = Path(__file__).parent / "definitions" / "published"
Object = dict[str, Any]

PORT = {"containerPort": 8786, "protocol": "TCP"}
POD = {"containers": [{"name": "c", "image": "dask", "args": ["x"], "ports": [PORT]}]}
CLUSTER = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskCluster",
    "metadata": {"name": "simple"},
    "spec": {
        "worker": {"replicas": 2, "spec": POD},
        "scheduler": {
            "spec": POD,
            "service": {
                "type": "ClusterIP",
                "ports": [{"name": "tcp", "port": 8786, "targetPort": "tcp", "protocol": "TCP"}],
            },
        },
    },
}
PROMETHEUS = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "main"},
    "spec": {
        "version": "v2.20.0",
        "replicas": 2,
        "serviceMonitorSelector": {"matchLabels": {"team": "a"}},
        "resources": {"requests": {"memory": "400Mi", "cpu": "1"}},
        "containers": [{"name": "prometheus", "env": [{"name": "A", "value": "b"}]}],
    },
}
RULES = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": {"name": "rules"},
    "spec": {
        "groups": [{"name": "g", "rules": [{"alert": "Down", "expr": "up == 0"}, {"record": "r", "expr": 1}]}]
    },
}


def published(name: str) -> list[Object]:
    found: list[Object] = json.loads(gzip.decompress((PUBLISHED / f"{name}.json.gz").read_bytes()))
    return found


def stream(*objects: Object) -> str:
    return "\n".join(json.dumps(obj) for obj in objects)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    with api_server("--unsafe-no-fsync") as url:
        yield Kubectl(url, tmp_path_factory.mktemp("kubectl"))


def established(kubectl: Kubectl, definitions: list[Object]) -> None:
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    kubectl("wait", "--for", "condition=established", *names, "--timeout=10s")


def test_definitions_and_objects_in_one_command(kubectl: Kubectl) -> None:
    """The first try stores the definitions and finds no kind for the object; the second one does the rest."""
    definitions = published("dask")
    manifest = stream(*definitions, CLUSTER)
    first = kubectl.run("apply", "-f", "-", stdin=manifest)
    assert first.returncode == 1
    assert first.stdout.count(" created") == 4
    assert 'no matches for kind "DaskCluster" in version "kubernetes.dask.org/v1"' in first.stderr
    assert "ensure CRDs are installed first" in first.stderr
    established(kubectl, definitions)
    second = kubectl("apply", "-f", "-", stdin=manifest)
    assert second.count(" unchanged") == 4
    assert "daskcluster.kubernetes.dask.org/simple created" in second
    third = kubectl("apply", "-f", "-", stdin=manifest)
    assert third.count(" unchanged") == 5


def test_a_definition_too_large_for_the_annotation_is_applied_by_the_server(kubectl: Kubectl) -> None:
    definitions = published("prometheus-operator")
    manifest = stream(*definitions)
    assert kubectl("apply", "--server-side", "-f", "-", stdin=manifest).count("serverside-applied") == 7
    established(kubectl, definitions)
    assert kubectl("apply", "--server-side", "-f", "-", stdin=manifest).count("serverside-applied") == 7
    generations = kubectl("get", "crd", "-o", "jsonpath={.items[*].metadata.generation}").split()
    assert set(generations) == {"1"}


def test_objects_columns_and_explanations(kubectl: Kubectl) -> None:
    made = kubectl("create", "-f", "-", stdin=stream(PROMETHEUS, RULES))
    assert made.count(" created") == 2
    head, row = (line.split() for line in kubectl("get", "prom").splitlines())
    assert head == ["NAME", "VERSION", "REPLICAS", "AGE"]
    assert row[:3] == ["main", "v2.20.0", "2"]
    assert kubectl("get", "prometheus-operator", "-o", "name").split() == [
        "prometheus.monitoring.coreos.com/main",
        "prometheusrule.monitoring.coreos.com/rules",
    ]
    explained = kubectl("explain", "prometheus.spec.containers.env.valueFrom.secretKeyRef.key")
    assert "FIELD: key <string>" in explained
    assert "Must be a valid secret key" in explained
    deep = kubectl("explain", "daskjob.spec.cluster.spec.worker.spec.containers.livenessProbe", "--recursive")
    assert "httpGet" in deep
    rows = kubectl("get", "dsk", "--no-headers").split()
    assert rows[:2] == ["simple", "2"]


WRONG: list[tuple[str, Object, tuple[Any, ...], Any, str]] = [
    ("a type", PROMETHEUS, ("spec", "replicas"), "two", "spec.replicas: Invalid value: \"string\""),
    ("inside an item", PROMETHEUS, ("spec", "containers", 0, "name"), 5,
     "spec.containers[0].name: Invalid value: \"integer\""),
    ("something required", RULES, ("spec", "groups", 0), {"name": "g"}, "spec.groups[0].rules: Required value"),
    ("an int or string", RULES, ("spec", "groups", 0, "rules", 0, "expr"), True, "spec.groups[0].rules[0].expr"),
    ("deep in a pod", CLUSTER, ("spec", "worker", "spec", "containers", 0, "ports", 0, "containerPort"), "x",
     "spec.worker.spec.containers[0].ports[0].containerPort: Invalid value: \"string\""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "path", "value", "text"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_is_refused(
    kubectl: Kubectl, base: Object, path: tuple[Any, ...], value: Any, text: str
) -> None:
    obj = json.loads(json.dumps(base))
    obj["metadata"]["name"] = "wrong"
    at = obj
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert text in kubectl.fails("create", "--validate=false", "-f", "-", stdin=json.dumps(obj))


def test_an_unknown_field_is_found_before_and_by_the_server(kubectl: Kubectl) -> None:
    obj = {**PROMETHEUS, "metadata": {"name": "odd"}, "spec": {"replica": 1}}
    assert 'unknown field "spec.replica"' in kubectl.fails("create", "-f", "-", stdin=json.dumps(obj))
    warned = kubectl.run("create", "--validate=warn", "-f", "-", stdin=json.dumps(obj))
    assert 'Warning: unknown field "spec.replica"' in warned.stderr
    assert kubectl("get", "prom", "odd", "-o", "jsonpath={.spec}") == "{}"


def test_two_appliers_own_what_they_say(kubectl: Kubectl) -> None:
    def apply(manager: str, spec: Object, *flags: str) -> tuple[int, str]:
        obj = {**PROMETHEUS, "metadata": {"name": "shared"}, "spec": spec}
        command = ("apply", "--server-side", "--field-manager", manager, *flags, "-f", "-")
        done = kubectl.run(*command, stdin=json.dumps(obj))
        return done.returncode, done.stderr

    assert apply("one", {"replicas": 1, "externalLabels": {"a": "1"}})[0] == 0
    assert apply("two", {"externalLabels": {"b": "2"}})[0] == 0
    code, text = apply("two", {"replicas": 3})
    assert code == 1
    assert 'conflict with "one": .spec.replicas' in text
    assert apply("two", {"replicas": 3}, "--force-conflicts")[0] == 0
    spec = json.loads(kubectl("get", "prom", "shared", "-o", "jsonpath={.spec}"))
    assert spec == {"replicas": 3, "externalLabels": {"a": "1"}}
