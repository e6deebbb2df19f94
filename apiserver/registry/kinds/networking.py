"""Ingress, IngressClass, NetworkPolicy, EndpointSlice, IPAddress and ServiceCIDR."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.registry.strategy import Object, Strategy, desired, fill


class IngressStrategy(Strategy):
    has_status = True
    initial_status = {"loadBalancer": {}}
    tracks_generation = True


class GenerationStrategy(Strategy):
    """Kinds with nothing but a generation."""

    tracks_generation = True


class IngressClassStrategy(GenerationStrategy):
    def default(self, obj: Object) -> None:
        parameters = obj.setdefault("spec", {}).get("parameters")
        if parameters is not None:
            fill(parameters, scope="Cluster")


class NetworkPolicyStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
            for port in rule.get("ports") or ():
                fill(port, protocol="TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


class EndpointSliceStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        for port in obj.get("ports") or ():
            fill(port, name="", protocol="TCP")

    def is_new_generation(self, new: Object, old: Object) -> bool:
        return desired(new) != desired(old) or meta.labels(new) != meta.labels(old)


class ServiceCIDRStrategy(Strategy):
    has_status = True
