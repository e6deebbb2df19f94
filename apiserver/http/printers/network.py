"""(P) The columns of services, endpoints, ingresses and their kin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import meta
from apiserver.http.printers.common import (
    NONE,
    UNSET,
    Object,
    age,
    joined,
    labels_text,
    selector_text,
    spec,
    status,
)

SHOWN_ENDPOINTS = 3


def service(obj: Object, now: datetime) -> list[Any]:
    kind = spec(obj).get("type", "ClusterIP")
    addresses = spec(obj).get("clusterIPs") or []
    return [
        meta.name(obj),
        kind,
        addresses[0] if addresses else NONE,
        _external(obj, kind),
        ",".join(map(_service_port, spec(obj).get("ports") or ())) or NONE,
        age(obj, now),
        labels_text(spec(obj).get("selector")),
    ]


def _external(obj: Object, kind: str) -> str:
    external = spec(obj).get("externalIPs") or []
    if kind == "ExternalName":
        return str(spec(obj).get("externalName", ""))
    if kind != "LoadBalancer":
        return joined(external) or NONE
    ingress = (status(obj).get("loadBalancer") or {}).get("ingress") or []
    found = [i.get("ip") or i.get("hostname") or "" for i in ingress]
    return joined([*found, *external]) or "<pending>"


def _service_port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def endpoints(obj: Object, now: datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or ():
        for address in subset.get("addresses") or ():
            ports = subset.get("ports") or [None]
            found += [f"{address['ip']}:{port['port']}" if port else address["ip"] for port in ports]
    return [meta.name(obj), joined(found, SHOWN_ENDPOINTS) or NONE, age(obj, now)]


def endpoint_slice(obj: Object, now: datetime) -> list[Any]:
    ports = [_slice_port(port) for port in obj.get("ports") or ()]
    addresses = [a for endpoint in obj.get("endpoints") or () for a in endpoint.get("addresses") or ()]
    return [
        meta.name(obj),
        obj.get("addressType", ""),
        joined(ports, SHOWN_ENDPOINTS) or UNSET,
        joined(addresses, SHOWN_ENDPOINTS) or UNSET,
        age(obj, now),
    ]


def _slice_port(port: Object) -> str:
    return str(port.get("port") or port.get("name") or "*")


def ingress(obj: Object, now: datetime) -> list[Any]:
    hosts = [rule["host"] for rule in spec(obj).get("rules") or () if rule.get("host")]
    found = (status(obj).get("loadBalancer") or {}).get("ingress") or []
    addresses = [i.get("ip") or i.get("hostname") or "" for i in found]
    return [
        meta.name(obj),
        spec(obj).get("ingressClassName") or NONE,
        joined(hosts, 3) or "*",
        ",".join(addresses),
        "80, 443" if spec(obj).get("tls") else "80",
        age(obj, now),
    ]


def ingress_class(obj: Object, now: datetime) -> list[Any]:
    default = meta.annotations(obj).get("ingressclass.kubernetes.io/is-default-class") == "true"
    parameters = spec(obj).get("parameters")
    text = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        text = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    name = meta.name(obj) + (" (default)" if default else "")
    return [name, spec(obj).get("controller", ""), text, age(obj, now)]


def network_policy(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), selector_text(spec(obj).get("podSelector")), age(obj, now)]


def ip_address(obj: Object, now: datetime) -> list[Any]:
    parent = spec(obj).get("parentRef") or {}
    parts = [parent.get("group"), parent.get("resource"), parent.get("namespace"), parent.get("name")]
    return [meta.name(obj), "/".join(part for part in parts if part)]


def service_cidr(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), joined(spec(obj).get("cidrs") or ()), age(obj, now)]


PRINTERS = {
    ("", "Service"): service,
    ("", "Endpoints"): endpoints,
    ("discovery.k8s.io", "EndpointSlice"): endpoint_slice,
    ("networking.k8s.io", "Ingress"): ingress,
    ("networking.k8s.io", "IngressClass"): ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): network_policy,
    ("networking.k8s.io", "IPAddress"): ip_address,
    ("networking.k8s.io", "ServiceCIDR"): service_cidr,
}
