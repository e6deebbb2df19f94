"""Which EndpointSlices a Service should have, against those it has (P).

Slices are filled per set of resolved ports. Endpoints stay in the slice they are in, new ones fill the
fullest slice with room, so that a change touches few slices. Source: endpointslice/reconciler.go.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
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

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"

Ports = tuple[tuple[tuple[str, Any], ...], ...]


@dataclass
class SlicePlan:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def is_ours(endpoint_slice: Object) -> bool:
    return meta.labels(endpoint_slice).get(MANAGED_BY) == MANAGER


def plan(service: Object, pods: list[Object], slices: list[Object], max_endpoints: int = 100) -> SlicePlan:
    """`pods` are those the Service selects; `slices` the ones of this controller for it."""
    result = SlicePlan()
    existing: dict[Ports, list[Object]] = defaultdict(list)
    for item in slices:
        if not meta.is_deleting(item):
            existing[_ports_of(item)].append(item)
    stamp = trigger_time(service, pods)
    for family in spec(service).get("ipFamilies") or ["IPv4"]:
        groups = _groups(service, pods, family)
        for ports, endpoints in groups.items():
            key = (*ports, (("family", family),))
            _fill(service, family, ports, endpoints, existing.pop(key, []), result, stamp, max_endpoints)
    result.delete.extend(item for rest in existing.values() for item in rest)
    return result


def _ports_of(item: Object) -> Ports:
    ports = tuple(tuple(sorted(port.items())) for port in item.get("ports") or ())
    return (*ports, (("family", item.get("addressType", "IPv4")),))


def _groups(service: Object, pods: list[Object], family: str) -> dict[Ports, list[Object]]:
    groups: dict[Ports, list[Object]] = defaultdict(list)
    for pod in pods:
        address = _address(pod, family)
        if address is not None:
            groups[target_ports(service, pod)].append(endpoint(service, pod, address))
    # A Service without endpoints keeps one empty slice, which tells "none" from "not yet known".
    return groups or {(): []}


def _address(pod: Object, family: str) -> str | None:
    known = [entry["ip"] for entry in status(pod).get("podIPs") or ()] or [status(pod)["podIP"]]
    return next((ip for ip in known if (":" in ip) == (family == "IPv6")), None)


def endpoint(service: Object, pod: Object, address: str) -> Object:
    terminating = meta.is_deleting(pod)
    is_serving = serving(pod)
    result: Object = {
        "addresses": [address],
        "conditions": {
            "ready": publishes_not_ready(service) or (is_serving and not terminating),
            "serving": is_serving,
            "terminating": terminating,
        },
        "targetRef": target_ref(pod),
    }
    if spec(pod).get("nodeName"):
        result["nodeName"] = spec(pod)["nodeName"]
    hostname = hostname_of(pod, service)
    if hostname:
        result["hostname"] = hostname
    return result


def _fill(
    service: Object,
    family: str,
    ports: Ports,
    endpoints: list[Object],
    slices: list[Object],
    result: SlicePlan,
    stamp: str,
    max_endpoints: int,
) -> None:
    waiting = {item["targetRef"]["uid"]: item for item in endpoints}
    kept = [(item, _keep(item, waiting)) for item in slices]
    for _, members in sorted(kept, key=lambda pair: -len(pair[1])):
        while waiting and len(members) < max_endpoints:
            members.append(waiting.pop(next(iter(waiting))))
    for index, (item, members) in enumerate(kept):
        # The last one stays even if empty, unless the Service has others.
        if not members and (index > 0 or endpoints):
            result.delete.append(item)
        else:
            _update(service, item, members, stamp, result)
    rest = list(waiting.values())
    starts = range(0, len(rest), max_endpoints) if rest or slices else range(1)
    for start in starts:
        part = rest[start : start + max_endpoints]
        result.create.append(_new_slice(service, family, ports, part, stamp))


def _keep(item: Object, waiting: dict[str, Object]) -> list[Object]:
    """The endpoints already in this slice that are still wanted, as they are now."""
    uids = [(entry.get("targetRef") or {}).get("uid") for entry in item.get("endpoints") or ()]
    return [waiting.pop(uid) for uid in uids if uid in waiting]


def _update(service: Object, item: Object, members: list[Object], stamp: str, result: SlicePlan) -> None:
    labels = {**meta.labels(item), **_labels(service)}
    if not is_headless(service):
        labels.pop(HEADLESS, None)
    if members == (item.get("endpoints") or []) and labels == meta.labels(item):
        return
    annotations = {**meta.annotations(item), TRIGGER_TIME: stamp}
    metadata = {**meta.metadata(item), "labels": labels, "annotations": annotations}
    result.update.append({**item, "metadata": metadata, "endpoints": members})


def _labels(service: Object) -> dict[str, str]:
    labels = {k: v for k, v in meta.labels(service).items() if k != HEADLESS}
    labels |= {SERVICE_NAME: meta.name(service), MANAGED_BY: MANAGER}
    return {**labels, HEADLESS: ""} if is_headless(service) else labels


def _new_slice(service: Object, family: str, ports: Ports, members: list[Object], stamp: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{meta.name(service)}-",
            "namespace": meta.namespace(service),
            "labels": _labels(service),
            "annotations": {TRIGGER_TIME: stamp},
            "ownerReferences": [meta.new_controller_ref(service, "v1", "Service")],
        },
        "addressType": family,
        "endpoints": members,
        "ports": [dict(port) for port in ports],
    }
