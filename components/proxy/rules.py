"""(P) Turns Services and EndpointSlices into the addresses to listen on and where each leads.

Fed by `proxier` with objects from its informers; the result is compared with the open sockets there.
Leaves out load-balancer ingress and external IPs: a machine of our own has no such addresses.
Semantics follow kube-proxy's `pkg/proxy/serviceport.go`, `topology.go` and `endpointslicecache.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.api.meta import Object

DEFAULT_AFFINITY_SECONDS = 10_800  # core/v1 ClientIPConfig.timeoutSeconds
HEADLESS = "None"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True, order=True)
class Frontend:
    """An address that clients connect to. `protocol` is "TCP" or "UDP"."""

    ip: str
    port: int
    protocol: str


@dataclass(frozen=True, order=True)
class Target:
    """The address of one ready endpoint."""

    ip: str
    port: int


@dataclass(frozen=True)
class Backend:
    """Where a frontend leads. `targets` is sorted and never empty; `affinity_seconds` may be None."""

    namespace: str
    service: str
    targets: tuple[Target, ...]
    affinity_seconds: int | None


@dataclass(frozen=True)
class _Endpoint:
    target: Target
    local: bool
    ready: bool
    serving: bool
    terminating: bool


def plan(
    services: Iterable[Object], slices: Iterable[Object], *, node_name: str, node_ip: str
) -> dict[Frontend, Backend]:
    """The frontends that this node must serve.

    A port without any usable endpoint has no frontend: the kernel then refuses the connection, as
    kube-proxy's REJECT rule does. Of two Services that claim one address the first by name wins.
    """
    by_service = _group_slices(slices)
    table: dict[Frontend, Backend] = {}
    for service in sorted(services, key=_key):
        if not _is_proxied(service):
            continue
        for port in service["spec"].get("ports") or ():
            endpoints = _endpoints(by_service.get(_key(service), ()), port, node_name)
            for frontend, targets in _frontends(service, port, endpoints, node_ip):
                if targets:
                    table.setdefault(frontend, _backend(service, targets))
    return table


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _is_proxied(service: Object) -> bool:
    spec = service.get("spec", {})
    labels = service["metadata"].get("labels") or {}
    cluster_ip = spec.get("clusterIP")
    return (
        spec.get("type") != "ExternalName"
        and bool(cluster_ip)
        and cluster_ip != HEADLESS
        and PROXY_NAME_LABEL not in labels
    )


def _group_slices(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    grouped: dict[tuple[str, str], list[Object]] = {}
    for item in slices:
        metadata = item["metadata"]
        service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
        if service and item.get("addressType") == "IPv4":
            grouped.setdefault((metadata.get("namespace", ""), service), []).append(item)
    return grouped


def _endpoints(slices: Iterable[Object], port: Mapping[str, Any], node_name: str) -> list[_Endpoint]:
    """Endpoints of one Service port; a pod that two slices name during a hand-over counts once."""
    found: dict[Target, _Endpoint] = {}
    for item in slices:
        number = _slice_port(item, port)
        if number is None:
            continue
        for endpoint in item.get("endpoints") or ():
            parsed = _endpoint(endpoint, number, node_name)
            if parsed and (parsed.target not in found or parsed.ready):
                found[parsed.target] = parsed
    return [found[target] for target in sorted(found)]


def _slice_port(item: Object, port: Mapping[str, Any]) -> int | None:
    wanted = (port.get("name") or "", port.get("protocol", "TCP"))
    for candidate in item.get("ports") or ():
        if (candidate.get("name") or "", candidate.get("protocol", "TCP")) == wanted:
            number = candidate.get("port")
            return int(number) if number else None
    return None


def _endpoint(endpoint: Mapping[str, Any], port: int, node_name: str) -> _Endpoint | None:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        return None
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready") is not False
    return _Endpoint(
        target=Target(addresses[0], port),
        local=endpoint.get("nodeName") == node_name,
        ready=ready,
        serving=conditions.get("serving", ready) is not False,
        terminating=bool(conditions.get("terminating")),
    )


def _frontends(
    service: Object, port: Mapping[str, Any], endpoints: list[_Endpoint], node_ip: str
) -> Iterable[tuple[Frontend, tuple[Target, ...]]]:
    spec = service["spec"]
    protocol = port.get("protocol", "TCP")
    if protocol not in ("TCP", "UDP"):
        return
    internal = _usable(endpoints, local_only=spec.get("internalTrafficPolicy") == "Local")
    yield Frontend(spec["clusterIP"], port["port"], protocol), internal
    if port.get("nodePort"):
        external = _usable(endpoints, local_only=spec.get("externalTrafficPolicy") == "Local")
        yield Frontend(node_ip, port["nodePort"], protocol), external


def _usable(endpoints: list[_Endpoint], *, local_only: bool) -> tuple[Target, ...]:
    """Ready endpoints; when none is left, those still serving while they terminate (KEP-1669)."""
    candidates = [e for e in endpoints if e.local] if local_only else endpoints
    ready = tuple(e.target for e in candidates if e.ready)
    return ready or tuple(e.target for e in candidates if e.serving and e.terminating)


def _backend(service: Object, targets: tuple[Target, ...]) -> Backend:
    namespace, name = _key(service)
    return Backend(namespace, name, targets, _affinity_seconds(service["spec"]))


def _affinity_seconds(spec: Mapping[str, Any]) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)
