"""A node with the totals of its pods (P), kept up to date pod by pod; never recomputed in a cycle."""

from __future__ import annotations

from collections import Counter
from typing import Any

from apiserver.api.meta import Object
from components.scheduler.podinfo import CPU, MEMORY, PODS, HostPort, PodInfo, amounts_of

ANY_IP = "0.0.0.0"


class NodeInfo:
    """Invariant: the totals are the sums over `pods`.

    `node` is None while pods are known on a node that is not (yet, or any more).
    `label_classes` counts running pods by (namespace, labels): pods of one ReplicaSet are one entry.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Object | None = None
        self.labels: dict[str, str] = {}
        self.taints: list[Object] = []
        self.unschedulable = False
        self.allocatable: dict[str, int] = {}
        self.allowed_pods = 0
        self.pods: dict[str, PodInfo] = {}
        self.requested: Counter[str] = Counter()
        self.nonzero_cpu = 0
        self.nonzero_memory = 0
        self.ports: Counter[HostPort] = Counter()
        self.affinity_pods: dict[str, PodInfo] = {}
        self.anti_affinity_pods: dict[str, PodInfo] = {}
        self.label_classes: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()

    def set_node(self, node: Object | None) -> None:
        self.node = node
        spec, status = (node or {}).get("spec") or {}, (node or {}).get("status") or {}
        self.labels = ((node or {}).get("metadata") or {}).get("labels") or {}
        self.taints = spec.get("taints") or []
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = amounts_of(status.get("allocatable") or status.get("capacity") or {})
        self.allowed_pods = self.allocatable.get(PODS, 0)

    def add_pod(self, pod: PodInfo) -> None:
        if pod.key in self.pods:
            self.remove_pod(pod.key)
        self.pods[pod.key] = pod
        self._count(pod, 1)
        if pod.has_pod_affinity:
            self.affinity_pods[pod.key] = pod
        if pod.anti_affinity:
            self.anti_affinity_pods[pod.key] = pod

    def remove_pod(self, key: str) -> None:
        pod = self.pods.pop(key, None)
        if pod is None:
            return
        self._count(pod, -1)
        self.affinity_pods.pop(key, None)
        self.anti_affinity_pods.pop(key, None)

    def port_conflicts(self, wanted: HostPort) -> bool:
        """The wildcard address collides with every address."""
        return any(
            used.port == wanted.port
            and used.protocol == wanted.protocol
            and (ANY_IP in (used.ip, wanted.ip) or used.ip == wanted.ip)
            for used in self.ports
        )

    def _count(self, pod: PodInfo, sign: int) -> None:
        for resource, amount in pod.requests.items():
            _change(self.requested, resource, sign * amount)
        cpu, memory = pod.nonzero_requests
        self.nonzero_cpu += sign * cpu
        self.nonzero_memory += sign * memory
        for port in pod.host_ports:
            _change(self.ports, port, sign)
        if not pod.terminating:
            _change(self.label_classes, pod.label_class, sign)

    def free(self, resource: str) -> int:
        return self.allocatable.get(resource, 0) - self.requested[resource]

    @property
    def cpu_and_memory(self) -> tuple[int, int]:
        return self.allocatable.get(CPU, 0), self.allocatable.get(MEMORY, 0)


def _change(counter: Counter[Any], key: Any, amount: int) -> None:
    counter[key] += amount
    if not counter[key]:
        del counter[key]
