"""The Endpoints object a Service should have (P). Source: endpoint/endpoints_controller.go, RepackSubsets."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from apiserver.api import meta
from apiserver.api.meta import Object
from components.controllers.common.objects import spec, status
from components.controllers.common.services import (
    TRIGGER_TIME,
    hostname_of,
    is_headless,
    publishes_not_ready,
    serving,
    target_ports,
    target_ref,
    trigger_time,
)

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
HEADLESS = "service.kubernetes.io/headless"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


def plan(service: Object, pods: list[Object], current: Object | None) -> Object | None:
    """The object to write, new or changed; None if `current` is right."""
    live = [pod for pod in pods if publishes_not_ready(service) or not meta.is_deleting(pod)]
    subsets, truncated = _subsets(service, live)
    labels = {**meta.labels(service), MANAGED_BY: MANAGER}
    if is_headless(service):
        labels[HEADLESS] = ""
    else:
        labels.pop(HEADLESS, None)
    annotations = dict(meta.annotations(current or {}))
    annotations.pop(OVER_CAPACITY, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    if current is not None and _same(current, subsets, labels, truncated):
        return None
    annotations[TRIGGER_TIME] = trigger_time(service, pods)
    identity = {"name": meta.name(service), "namespace": meta.namespace(service)}
    metadata = {**(meta.metadata(current or {}) or identity), "labels": labels, "annotations": annotations}
    base = {**(current or {}), "apiVersion": "v1", "kind": "Endpoints"}
    return {**base, "metadata": metadata, "subsets": subsets}


def _same(current: Object, subsets: list[Object], labels: dict[str, str], truncated: bool) -> bool:
    marked = meta.annotations(current).get(OVER_CAPACITY) == "truncated"
    return (
        (current.get("subsets") or []) == subsets and meta.labels(current) == labels and marked == truncated
    )


def _subsets(service: Object, pods: list[Object]) -> tuple[list[Object], bool]:
    """Addresses grouped by the ports they offer; ready ones win the places when there are too many."""
    ordered = sorted(pods, key=lambda pod: not _ready(service, pod))
    groups: dict[Any, dict[str, list[Object]]] = defaultdict(
        lambda: {"addresses": [], "notReadyAddresses": []}
    )
    for pod in ordered[:MAX_ADDRESSES]:
        ports = target_ports(service, pod)
        if not ports and spec(service).get("ports"):
            continue
        name = "addresses" if _ready(service, pod) else "notReadyAddresses"
        groups[ports][name].append(_address(service, pod))
    subsets = []
    for ports in sorted(groups):
        subset: Object = {k: sorted(v, key=_by_ip) for k, v in groups[ports].items() if v}
        if ports:
            subset["ports"] = [_port(dict(port)) for port in ports]
        subsets.append(subset)
    return subsets, len(ordered) > MAX_ADDRESSES


def _ready(service: Object, pod: Object) -> bool:
    return publishes_not_ready(service) or serving(pod)


def _by_ip(address: Object) -> tuple[str, str]:
    return address["ip"], address["targetRef"]["uid"]


def _port(port: Object) -> Object:
    """Endpoints leave an empty name out, where EndpointSlices write it."""
    return {k: v for k, v in port.items() if k != "name" or v}


def _address(service: Object, pod: Object) -> Object:
    address: Object = {"ip": status(pod)["podIP"], "targetRef": target_ref(pod)}
    if spec(pod).get("nodeName"):
        address["nodeName"] = spec(pod)["nodeName"]
    hostname = hostname_of(pod, service)
    return {**address, "hostname": hostname} if hostname else address
