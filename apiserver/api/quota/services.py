"""(P) Services against quotas: their number, their node ports and load balancers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from apiserver.api.gvk import GroupResource
from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity
from apiserver.api.quota.amounts import Amounts
from apiserver.api.quota.evaluator import ONE, Evaluator

_NAMES: Final = frozenset({"count/services", "services", "services.nodeports", "services.loadbalancers"})


def usage(service: Object, now: datetime) -> Amounts:
    """Node ports are counted as they are meant: they may not be allocated yet."""
    spec = service.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or []
    node_ports = len(ports) if kind in ("NodePort", "LoadBalancer") else 0
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    return {
        "count/services": ONE,
        "services": ONE,
        "services.nodeports": Quantity.of(node_ports),
        "services.loadbalancers": Quantity.of(int(kind == "LoadBalancer")),
    }


def _changes_type(subresource: str, new: Object, old: Object) -> bool:
    return not subresource


SERVICES: Final = Evaluator(
    GroupResource("", "services"), usage, _NAMES.__contains__, charges_update=_changes_type
)
