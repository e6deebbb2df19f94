"""Services and endpoints. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apiserver.http.printers.common import NONE, UNKNOWN, age, joined, meta_of, pairs

Object = dict[str, Any]
Cells = list[Any]
_SHOWN: Final = 3


def service(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    address = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0] or NONE
    return [
        name,
        spec.get("type", ""),
        address,
        _external(obj),
        _ports(spec),
        age(created, now),
        pairs(spec.get("selector")),
    ]


def _external(obj: Object) -> str:
    spec = obj.get("spec") or {}
    external = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return joined(external)
        case "LoadBalancer":
            found = _balancers(obj) + external
            return ",".join(found) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName") or "")
    return UNKNOWN


def _balancers(obj: Object) -> list[str]:
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return sorted({i.get("ip") or i.get("hostname") for i in ingress if i.get("ip") or i.get("hostname")})


def _ports(spec: Object) -> str:
    found = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        found.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return joined(found)


def endpoints(obj: Object, now: datetime) -> Cells:
    """At most three addresses; how many there are beyond is counted."""
    name, created = meta_of(obj)
    found = [text for subset in obj.get("subsets") or () for text in _addresses(subset)]
    more = f" + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else ""
    return [name, joined(found[:_SHOWN]) + more, age(created, now)]


def _addresses(subset: Object) -> list[str]:
    hosts = [address.get("ip", "") for address in subset.get("addresses") or ()]
    ports = subset.get("ports") or ()
    if not ports:
        return hosts
    return [_host_port(host, port.get("port", 0)) for port in ports for host in hosts]


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
