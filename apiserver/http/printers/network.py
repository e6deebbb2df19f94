"""Endpoint slices, ingresses, network policies. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apiserver.http.printers.common import NONE, UNSET, age, joined, meta_of, selector

Object = dict[str, Any]
Cells = list[Any]
_SHOWN: Final = 3


def _some(values: list[str]) -> str:
    if len(values) <= _SHOWN:
        return joined(values)
    return ",".join(values[:_SHOWN]) + f" + {len(values) - _SHOWN} more..."


def endpoint_slice(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    numbers = [str(port.get("port") or "*") for port in obj.get("ports") or ()]
    addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    return [
        name,
        obj.get("addressType", ""),
        _some(numbers) if numbers else UNSET,
        _some(addresses) if addresses else UNSET,
        age(created, now),
    ]


def ingress(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    balancers = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    addresses = ",".join(b.get("ip") or b.get("hostname") or "" for b in balancers)
    ports = "80, 443" if spec.get("tls") else "80"
    return [name, spec.get("ingressClassName") or NONE, _hosts(hosts), addresses, ports, age(created, now)]


def _hosts(hosts: list[str]) -> str:
    return _some(hosts) if hosts else "*"


def network_policy(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, selector((obj.get("spec") or {}).get("podSelector")), age(created, now)]
