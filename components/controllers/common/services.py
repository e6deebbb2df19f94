"""Which pods a Service selects and what they offer it (P); shared by Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver.api import meta
from apiserver.api.labels import selector_from_set
from apiserver.api.meta import Object
from apiserver.api.pods import containers, init_containers, is_pod_ready, is_pod_terminal, is_sidecar
from components.controllers.common.objects import spec, status

Port = dict[str, Any]
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def selects_pods(service: Object) -> bool:
    """Services without a selector have endpoints written by somebody else."""
    return bool(spec(service).get("selector")) and spec(service).get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    return spec(service).get("clusterIP") == "None"


def selected_pods(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Pods that match, run (or still end) and have an address, in a stable order."""
    selector = selector_from_set(spec(service).get("selector") or {})
    chosen = [
        pod
        for pod in pods
        if selector.matches(meta.labels(pod)) and status(pod).get("podIP") and not is_pod_terminal(pod)
    ]
    return sorted(chosen, key=meta.name)


def publishes_not_ready(service: Object) -> bool:
    return bool(spec(service).get("publishNotReadyAddresses"))


def serving(pod: Object) -> bool:
    return is_pod_ready(pod)


def target_ports(service: Object, pod: Object) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """The Service's ports as this pod offers them, hashable; a named port the pod lacks is left out."""
    ports = []
    for port in spec(service).get("ports") or ():
        number = _resolve(port, pod)
        if number is not None:
            entry = {"name": port.get("name") or "", "port": number, "protocol": port.get("protocol", "TCP")}
            if port.get("appProtocol"):
                entry["appProtocol"] = port["appProtocol"]
            ports.append(tuple(sorted(entry.items())))
    return tuple(ports)


def _resolve(port: Port, pod: Object) -> int | None:
    target = port.get("targetPort") or port.get("port")
    if isinstance(target, int):
        return target
    sidecars = [container for container in init_containers(pod) if is_sidecar(container)]
    for container in [*containers(pod), *sidecars]:
        for offered in container.get("ports") or ():
            same_protocol = offered.get("protocol", "TCP") == port.get("protocol", "TCP")
            if offered.get("name") == target and same_protocol:
                return int(offered["containerPort"])
    return None


def target_ref(pod: Object) -> Object:
    return {
        "kind": "Pod",
        "namespace": meta.namespace(pod),
        "name": meta.name(pod),
        "uid": meta.uid(pod),
    }


def hostname_of(pod: Object, service: Object) -> str | None:
    """The pod's DNS name under a headless Service that it names as its subdomain."""
    fits = spec(pod).get("subdomain") == meta.name(service)
    return spec(pod).get("hostname") if fits else None


def trigger_time(service: Object, pods: Iterable[Object]) -> str:
    """The latest moment at which the Service was made or a pod changed readiness."""
    moments = [meta.metadata(service).get("creationTimestamp") or ""]
    for pod in pods:
        for condition in status(pod).get("conditions") or ():
            if condition.get("type") == "Ready":
                moments.append(condition.get("lastTransitionTime") or "")
    return max(moments)
