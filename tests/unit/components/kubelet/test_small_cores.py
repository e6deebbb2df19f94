"""Environment, probes' thresholds, addresses, hosts file, admission, image names."""

from __future__ import annotations

from typing import Any

import pytest

from components.kubelet.env import expand, field_value, resource_value, service_variables, visible_services
from components.kubelet.images.catalogue import Catalogue, split
from components.kubelet.pods.admission import refusal
from components.kubelet.pods.hosts import hosts_file
from components.kubelet.probes.core import Kind, ProbeState, Timing
from components.kubelet.runtime.interface import ConfigFault
from components.kubelet.runtime.process.ipam import AddressPool, Exhausted
from tests.unit.components.kubelet.builders import pod


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("a$(A)b$(A)", "a1b1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$$$(A)", "$1"),
    ],
)
def test_expansion(text: str, out: str) -> None:
    assert expand(text, {"A": "1"}) == out


def test_downward_fields_and_resources() -> None:
    spec = pod("a")
    spec["metadata"]["labels"] = {"x": 'say "hi"', "b": "2"}
    spec["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}, "limits": {"memory": "64Mi"}}
    container = spec["spec"]["containers"][0]
    assert field_value(spec, "metadata.labels['b']", {}) == "2"
    assert field_value(spec, "metadata.labels", {}) == 'b="2"\nx="say \\"hi\\""'
    assert field_value(spec, "status.podIP", {"status.podIP": "127.64.1.1"}) == "127.64.1.1"
    with pytest.raises(ConfigFault, match="unsupported fieldPath"):
        field_value(spec, "spec.nothing", {})
    assert resource_value(spec, {"resource": "requests.cpu"}, container, {}) == "2"
    assert resource_value(spec, {"resource": "limits.memory", "divisor": "1Mi"}, container, {}) == "64"
    assert resource_value(spec, {"resource": "limits.cpu"}, container, {"cpu": "4"}) == "4"


def service(name: str, namespace: str, ip: str = "127.65.0.9") -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}


def test_service_variables() -> None:
    services = [service("kubernetes", "default"), service("my-db", "ns"), service("other", "elsewhere")]
    seen = visible_services(services, "ns", True)
    assert {s["metadata"]["name"] for s in seen} == {"kubernetes", "my-db"}
    assert len(visible_services(services, "ns", False)) == 1
    out = service_variables(seen)
    assert out["MY_DB_SERVICE_HOST"] == "127.65.0.9"
    assert out["MY_DB_PORT_80_TCP"] == "tcp://127.65.0.9:80"
    assert out["KUBERNETES_SERVICE_PORT_HTTP"] == "80"
    assert service_variables([service("headless", "ns", "None")]) == {}


@pytest.mark.parametrize(
    ("kind", "results", "states"),
    [
        ("liveness", "fff", [True, True, False]),
        ("liveness", "ffsfff", [True, True, True, True, True, False]),
        ("readiness", "ssfff", [False, True, True, True, False]),
        ("startup", "ffs", [None, None, None]),
        ("startup", "fss", [None, None, True]),
    ],
)
def test_probe_thresholds(kind: Kind, results: str, states: list[bool | None]) -> None:
    state, seen = ProbeState(kind, Timing(0, 10, 1, 1 if kind == "liveness" else 2, 3)), []
    for result in results:
        state.record(result == "s")
        seen.append(state.result)
    assert seen == states


def test_addresses_are_given_out_in_turn_and_come_back() -> None:
    pool = AddressPool("127.64.1.0/29")
    pool.claim("127.64.1.1")
    given = [pool.allocate() for _ in range(5)]
    assert given == [f"127.64.1.{n}" for n in range(2, 7)]
    with pytest.raises(Exhausted):
        pool.allocate()
    pool.release("127.64.1.3")
    pool.release("127.64.1.1")
    assert [pool.allocate(), pool.allocate()] == ["127.64.1.1", "127.64.1.3"]


def test_hosts_file() -> None:
    facts = {"status.podIP": "127.64.1.2", "hostname": "p", "clusterDomain": "cluster.local"}
    assert hosts_file(pod("a"), facts).endswith("127.64.1.2\tp\n")
    text = hosts_file(
        pod("a", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]), facts
    )
    assert "127.64.1.2\tp.sub.ns.svc.cluster.local\tp\n" in text
    assert text.endswith("1.2.3.4\tx\ty\n")


def test_admission() -> None:
    spec = pod("a")
    spec["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "600m"}}
    have = {"cpu": "1", "memory": "1Gi", "pods": "3"}
    assert refusal(spec, [], have, {}) is None
    assert refusal(spec, [spec], have, {}) == (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000",
    )
    assert (refusal(pod("a"), [pod()] * 3, have, {}) or ("",))[0] == "OutOfpods"
    picky = pod("a", nodeSelector={"disk": "ssd"})
    assert (refusal(picky, [], have, {}) or ("",))[0] == "NodeAffinity"
    assert refusal(picky, [], have, {"disk": "ssd"}) is None


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("python", "python", "latest"),
        ("docker.io/library/python:3.12", "python", "3.12"),
        ("kuberaft/echo:v2@sha256:00", "kuberaft/echo", "v2"),
        ("localhost:5000/x", "localhost:5000/x", "latest"),
    ],
)
def test_image_names(reference: str, name: str, tag: str) -> None:
    assert split(reference) == (name, tag)


def test_images_replace_command_and_args_as_an_image_does() -> None:
    catalogue = Catalogue.default()
    python = catalogue.find("python:3")
    assert python is not None
    assert python.argv([], ["-c", "1"]) == [*python.entrypoint, "-c", "1"]
    assert python.argv(["python3", "-V"], []) == [python.entrypoint[0], "-V"]
    host = catalogue.find("host")
    assert host is not None
    with pytest.raises(ConfigFault, match="no command specified"):
        host.argv([], [])
    assert "containerd" in catalogue.explain("nginx:1.27")
