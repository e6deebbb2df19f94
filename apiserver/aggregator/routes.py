"""(P) Where a Service is reached: its cluster IP, or one of its endpoints (``--enable-aggregator-routing``).

Source: apiserver ``pkg/util/proxy``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from apiserver.aggregator.availability import is_ready, number_of
from apiserver.aggregator.service import Reference
from apiserver.api.field_errors import quote

Object = Mapping[str, Any]
Address = tuple[str, int]
Choose = Callable[[Sequence[Address]], Address]
_ROUTABLE: Final = ("ClusterIP", "LoadBalancer", "NodePort")


class Unresolvable(Exception):
    """The text is the original's."""


def by_cluster_ip(reference: Reference, service: Object | None) -> Address:
    """Raises Unresolvable."""
    spec, kind = _spec(reference, service)
    if kind == "ExternalName":
        return str(spec.get("externalName") or ""), reference.port
    if kind == "ClusterIP" and spec.get("clusterIP") == "None":
        raise Unresolvable('cannot route to service with ClusterIP "None"')
    _require(kind, _ROUTABLE)
    _port_name(reference, spec)
    return str(spec.get("clusterIP") or ""), reference.port


def by_endpoint(
    reference: Reference, service: Object | None, slices: Sequence[Object], choose: Choose
) -> Address:
    """Raises Unresolvable."""
    spec, kind = _spec(reference, service)
    name = _port_name(reference, spec)
    _require(kind, _ROUTABLE)
    found = [address for item in slices for address in _addresses(item, name)]
    if not found:
        raise Unresolvable(f"no endpoints available for service {quote(reference.name)}")
    return choose(found)


def _spec(reference: Reference, service: Object | None) -> tuple[Object, str]:
    if service is None:
        raise Unresolvable(f"service {quote(reference.name)} not found")
    spec = service.get("spec") or {}
    return spec, spec.get("type") or "ClusterIP"


def _require(kind: str, known: Sequence[str]) -> None:
    if kind not in known:
        raise Unresolvable(f"unsupported service type {quote(kind)}")


def _port_name(reference: Reference, spec: Object) -> str:
    for port in spec.get("ports") or ():
        if port.get("port") == reference.port:
            return port.get("name") or ""
    raise Unresolvable(f"no service port {reference.port} found for service {quote(reference.name)}")


def _addresses(item: Object, name: str) -> list[Address]:
    number = number_of(item, name)
    if number is None:
        return []
    ready = [endpoint for endpoint in item.get("endpoints") or () if is_ready(endpoint)]
    return [(address, number) for endpoint in ready for address in endpoint.get("addresses") or ()]
