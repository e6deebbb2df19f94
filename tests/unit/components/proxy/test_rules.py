"""What the proxy listens on and where it leads, from Services and EndpointSlices."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from components.proxy.rules import Backend, Frontend, Target, plan

NODE = {"node_name": "w1", "node_ip": "127.64.250.1"}
CLUSTER_IP = Frontend("127.65.0.9", 80, "TCP")
NODE_PORT = Frontend("127.64.250.1", 30080, "TCP")


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"type": "ClusterIP", "clusterIP": "127.65.0.9", "ports": ports, **spec},
    }


def node_port_service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    return service(type="NodePort", ports=ports, **spec)


def endpoint(ip: str, node: str = "w1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions}


def endpoint_slice(*endpoints: dict[str, Any], name: str = "web-1") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def targets(*ips: str) -> tuple[Target, ...]:
    return tuple(Target(ip, 8080) for ip in ips)


def test_cluster_ip_leads_to_ready_endpoints() -> None:
    slices = [endpoint_slice(endpoint("127.64.1.3", ready=False), endpoint("127.64.1.2", ready=True))]
    assert plan([service()], slices, **NODE) == {
        CLUSTER_IP: Backend("shop", "web", targets("127.64.1.2"), None)
    }


def test_unset_ready_condition_means_ready() -> None:
    assert CLUSTER_IP in plan([service()], [endpoint_slice(endpoint("127.64.1.2"))], **NODE)


def test_serving_terminating_endpoints_are_the_last_resort() -> None:
    leaving = endpoint("127.64.1.2", ready=False, serving=True, terminating=True)
    only = plan([service()], [endpoint_slice(leaving)], **NODE)
    assert only[CLUSTER_IP].targets == targets("127.64.1.2")
    both = plan([service()], [endpoint_slice(leaving, endpoint("127.64.1.3", ready=True))], **NODE)
    assert both[CLUSTER_IP].targets == targets("127.64.1.3")


def test_no_frontend_without_endpoints() -> None:
    assert plan([service()], [], **NODE) == {}
    assert plan([service()], [endpoint_slice(endpoint("127.64.1.2", ready=False))], **NODE) == {}


@pytest.mark.parametrize(
    "spec",
    [{"clusterIP": "None"}, {"type": "ExternalName"}, {"clusterIP": ""}],
    ids=["headless", "name", "unset"],
)
def test_services_without_a_virtual_address_are_left_alone(spec: dict[str, str]) -> None:
    assert plan([service(**spec)], [endpoint_slice(endpoint("127.64.1.2"))], **NODE) == {}


def test_service_of_another_proxy_is_left_alone() -> None:
    other = service()
    other["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mesh"}
    assert plan([other], [endpoint_slice(endpoint("127.64.1.2"))], **NODE) == {}


def test_node_port_and_local_policies() -> None:
    slices = [endpoint_slice(endpoint("127.64.1.2", node="w1"), endpoint("127.64.2.2", node="w2"))]
    everywhere = plan([node_port_service()], slices, **NODE)
    assert everywhere[NODE_PORT].targets == targets("127.64.1.2", "127.64.2.2")
    local = plan([node_port_service(externalTrafficPolicy="Local")], slices, **NODE)
    assert local[NODE_PORT].targets == targets("127.64.1.2")
    assert local[CLUSTER_IP].targets == targets("127.64.1.2", "127.64.2.2")
    inner = plan([service(internalTrafficPolicy="Local")], slices, node_name="w3", node_ip="127.64.250.3")
    assert inner == {}


def test_one_pod_in_two_slices_counts_once_and_ready_wins() -> None:
    slices = [
        endpoint_slice(endpoint("127.64.1.2", ready=False)),
        endpoint_slice(endpoint("127.64.1.2", ready=True), name="web-2"),
    ]
    assert plan([service()], slices, **NODE)[CLUSTER_IP].targets == targets("127.64.1.2")


def test_ports_are_matched_by_name_and_protocol() -> None:
    other = endpoint_slice(endpoint("127.64.1.2"))
    other["ports"] = [
        {"name": "http", "port": 8080, "protocol": "UDP"},
        {"name": "x", "port": 1, "protocol": "TCP"},
    ]
    assert plan([service()], [other], **NODE) == {}


def test_affinity_uses_the_service_timeout_or_the_default() -> None:
    slices = [endpoint_slice(endpoint("127.64.1.2"))]
    default = plan([service(sessionAffinity="ClientIP")], slices, **NODE)
    assert default[CLUSTER_IP].affinity_seconds == 10_800
    config = {"clientIP": {"timeoutSeconds": 7}}
    chosen = plan([service(sessionAffinity="ClientIP", sessionAffinityConfig=config)], slices, **NODE)
    assert chosen[CLUSTER_IP].affinity_seconds == 7


def test_first_service_by_name_keeps_a_contested_address() -> None:
    rival = copy.deepcopy(service())
    rival["metadata"]["name"] = "aaa"
    slices = [endpoint_slice(endpoint("127.64.1.2"))]
    rival_slice = endpoint_slice(endpoint("127.64.1.9"))
    rival_slice["metadata"]["labels"] = {"kubernetes.io/service-name": "aaa"}
    table = plan([service(), rival], [*slices, rival_slice], **NODE)
    assert table[CLUSTER_IP].service == "aaa"
