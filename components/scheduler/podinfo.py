"""A pod as the scheduler sees it (P): everything a plugin asks, parsed once.

Made from informer objects by the cache and the queue; plugins read it in their inner loops, so amounts
are ints (CPU in millicores, all else in whole units) and selectors are compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from apiserver.api.labels import selector_from_label_selector
from apiserver.api.meta import Object, object_key
from apiserver.api.pods import is_sidecar, pod_requests
from apiserver.api.quantity import parse_quantity
from components.scheduler.nodeselector import NodeAffinityTerms

CPU, MEMORY, PODS = "cpu", "memory", "pods"
DEFAULT_MILLI_CPU = 100  # what a container without a request counts as when nodes are compared
DEFAULT_MEMORY = 200 * 1024 * 1024


class HostPort(NamedTuple):
    ip: str
    protocol: str
    port: int


class AffinityTerm:
    """One term of pod (anti-)affinity. `weight` is 0 for a required term."""

    def __init__(self, term: Mapping[str, Any], owner_namespace: str, weight: int = 0) -> None:
        self.topology_key: str = term["topologyKey"]
        self.weight = weight
        self.selector = selector_from_label_selector(term.get("labelSelector"))
        self._namespaces = frozenset(term.get("namespaces") or ())
        raw = term.get("namespaceSelector")
        self._namespace_selector = selector_from_label_selector(raw) if raw is not None else None
        if not self._namespaces and raw is None:
            self._namespaces = frozenset((owner_namespace,))

    def matches(self, pod: PodInfo, namespace_labels: Mapping[str, str]) -> bool:
        """`namespace_labels` are those of the pod's namespace."""
        by_name = pod.namespace in self._namespaces
        selector = self._namespace_selector
        by_labels = selector is not None and selector.matches(namespace_labels)
        return (by_name or by_labels) and self.selector.matches(pod.labels)


class PodInfo:
    """Immutable view of one pod object."""

    def __init__(self, pod: Object) -> None:
        metadata, spec = pod["metadata"], pod.get("spec") or {}
        self.pod = pod
        self.spec: Object = spec
        self.key = object_key(pod)
        self.uid: str = metadata.get("uid") or self.key
        self.name: str = metadata["name"]
        self.namespace: str = metadata.get("namespace") or ""
        self.labels: dict[str, str] = metadata.get("labels") or {}
        self.terminating = "deletionTimestamp" in metadata
        self.node_name: str = spec.get("nodeName") or ""
        self.priority: int = spec.get("priority") or 0
        self.tolerations: list[Object] = spec.get("tolerations") or []
        self.label_class = (self.namespace, frozenset(self.labels.items()))

    def updated(self, pod: Object) -> PodInfo:
        """For a newer version of this pod; what was parsed of an unchanged spec is carried over."""
        new = PodInfo(pod)
        if new.spec == self.spec and new.namespace == self.namespace:
            for name in _OF_SPEC:
                if name in self.__dict__:
                    new.__dict__[name] = self.__dict__[name]
        return new

    @cached_property
    def requests(self) -> dict[str, int]:
        """By resource name, zero amounts left out."""
        amounts = pod_requests(self.pod)
        whole = {n: q.milli_value() if n == CPU else q.value() for n, q in amounts.items()}
        return {name: amount for name, amount in whole.items() if amount}

    @cached_property
    def nonzero_requests(self) -> tuple[int, int]:
        """(CPU, memory), with a default for every container that requests none."""
        return (
            _nonzero(self.pod, self.requests, CPU, DEFAULT_MILLI_CPU),
            _nonzero(self.pod, self.requests, MEMORY, DEFAULT_MEMORY),
        )

    @cached_property
    def host_ports(self) -> tuple[HostPort, ...]:
        containers = [*(self.spec.get("containers") or ())]
        containers += [c for c in self.spec.get("initContainers") or () if is_sidecar(c)]
        return tuple(
            HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
            for container in containers
            for port in container.get("ports") or ()
            if port.get("hostPort")
        )

    @cached_property
    def node_affinity(self) -> NodeAffinityTerms:
        return NodeAffinityTerms.of(self.spec)

    @cached_property
    def affinity(self) -> tuple[AffinityTerm, ...]:
        return self._terms("podAffinity", required=True)

    @cached_property
    def anti_affinity(self) -> tuple[AffinityTerm, ...]:
        return self._terms("podAntiAffinity", required=True)

    @cached_property
    def preferred_affinity(self) -> tuple[AffinityTerm, ...]:
        return self._terms("podAffinity", required=False)

    @cached_property
    def preferred_anti_affinity(self) -> tuple[AffinityTerm, ...]:
        return self._terms("podAntiAffinity", required=False)

    @property
    def has_pod_affinity(self) -> bool:
        affinity = self.spec.get("affinity") or {}
        return bool(affinity.get("podAffinity") or affinity.get("podAntiAffinity"))

    def _terms(self, kind: str, *, required: bool) -> tuple[AffinityTerm, ...]:
        section = (self.spec.get("affinity") or {}).get(kind) or {}
        if required:
            terms = section.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
            return tuple(AffinityTerm(term, self.namespace) for term in terms)
        weighted = section.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(AffinityTerm(w["podAffinityTerm"], self.namespace, w["weight"]) for w in weighted)


_OF_SPEC = (
    "requests",
    "nonzero_requests",
    "host_ports",
    "node_affinity",
    "affinity",
    "anti_affinity",
    "preferred_affinity",
    "preferred_anti_affinity",
)


def _nonzero(pod: Object, requests: dict[str, int], resource: str, default: int) -> int:
    missing = sum(
        resource not in ((container.get("resources") or {}).get("requests") or {})
        for container in pod.get("spec", {}).get("containers") or ()
    )
    return requests.get(resource, 0) + missing * default


def amounts_of(resources: Mapping[str, Any]) -> dict[str, int]:
    """Capacity or allocatable as ints in the units of `PodInfo.requests`."""
    return {
        name: parse_quantity(value).milli_value() if name == CPU else parse_quantity(value).value()
        for name, value in resources.items()
    }
