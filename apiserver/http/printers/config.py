"""Nodes, namespaces, configuration, events, volumes. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apiserver.http.printers.common import NONE, UNKNOWN, UNSET, age, meta_of

Object = dict[str, Any]
Cells = list[Any]
_ROLE: Final = "node-role.kubernetes.io/"
_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def node(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    info = (obj.get("status") or {}).get("nodeInfo") or {}
    return [
        name,
        _node_status(obj),
        _roles(obj),
        age(created, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(obj: Object) -> str:
    found = [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == "Ready"]
    status = "Unknown" if not found else ("Ready" if found[0].get("status") == "True" else "NotReady")
    return status + (",SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else "")


def _roles(obj: Object) -> str:
    labels = obj["metadata"].get("labels") or {}
    roles = {label[len(_ROLE) :] for label in labels if label.startswith(_ROLE) and len(label) > len(_ROLE)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or NONE


def _address(obj: Object, kind: str) -> str:
    for address in (obj.get("status") or {}).get("addresses") or ():
        if address.get("type") == kind:
            return str(address["address"])
    return NONE


def namespace(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, (obj.get("status") or {}).get("phase", ""), age(created, now)]


def config_map(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(created, now)]


def secret(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, obj.get("type", ""), len(obj.get("data") or ()), age(created, now)]


def event(obj: Object, now: datetime) -> Cells:
    """Core and events.k8s.io events: the newer API names some fields otherwise."""
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    series = obj.get("series") or {}
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = (
        source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    )
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    return [
        age(series.get("lastObservedTime") or last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}"
        if about.get("name")
        else about.get("kind", "").lower(),
        about.get("fieldPath", ""),
        f"{reporter}, {source['host']}" if source.get("host") else reporter,
        (obj.get("message") or obj.get("note") or "").strip(),
        age(first, now),
        count,
        obj["metadata"].get("name", ""),
    ]


def _modes(modes: list[str] | None) -> str:
    return ",".join(_MODES.get(mode, mode) for mode in dict.fromkeys(modes or ()))


def _phase(obj: Object) -> str:
    phase = (obj.get("status") or {}).get("phase", "")
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else phase


def claim(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name,
        _phase(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or UNSET,
        age(created, now),
        spec.get("volumeMode") or UNSET,
    ]


def volume(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ref = spec.get("claimRef")
    return [
        name,
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age(created, now),
        spec.get("volumeMode") or UNSET,
    ]


def storage_class(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    if (obj["metadata"].get("annotations") or {}).get(
        "storageclass.kubernetes.io/is-default-class"
    ) == "true":
        name += " (default)"
    return [
        name,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age(created, now),
    ]
