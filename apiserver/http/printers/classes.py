"""Storage, runtime and ingress classes, CSI objects, addresses of services, devices. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.http.printers.common import NONE, UNSET, age, joined, meta_of

Object = dict[str, Any]
Cells = list[Any]


def csi_driver(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    requests = spec.get("tokenRequests")
    audiences = ",".join(request.get("audience") or "" for request in requests or ())
    return [
        name,
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        UNSET if requests is None else audiences,
        spec.get("requiresRepublish", False),
        joined(spec.get("volumeLifecycleModes")),
        age(created, now),
    ]


def csi_node(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, len((obj.get("spec") or {}).get("drivers") or ()), age(created, now)]


def volume_attachment(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool((obj.get("status") or {}).get("attached"))
    return [name, spec.get("attacher") or "", volume, spec.get("nodeName") or "", attached, age(created, now)]


def attributes_class(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    annotations = obj["metadata"].get("annotations") or {}
    if annotations.get("volumeattributesclass.alpha.kubernetes.io/is-default-class") == "true":
        name += " (default)"
    return [name, obj.get("driverName") or "", age(created, now)]


def runtime_class(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, obj.get("handler") or "", age(created, now)]


def ingress_class(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    parameters, shown = spec.get("parameters"), NONE
    if parameters is not None:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
        shown = f"{parameters.get('kind') or ''}{group}/{parameters.get('name') or ''}"
    return [name, spec.get("controller") or "", shown, age(created, now)]


def ip_address(obj: Object, now: datetime) -> Cells:
    """``resource.group/namespace/name`` of what holds the address; Services have no group."""
    name, _ = meta_of(obj)
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    kind = f"{parent.get('resource') or ''}.{parent.get('group') or ''}".rstrip(".")
    shown = "/".join(part for part in (kind, parent.get("namespace"), parent.get("name")) if part)
    return [name, shown.lower() or NONE]


def service_cidr(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, ",".join((obj.get("spec") or {}).get("cidrs") or ()), age(created, now)]


def resource_claim(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    return [name, _claim_state(obj), age(created, now)]


def _claim_state(obj: Object) -> str:
    status, deleted = obj.get("status") or {}, bool(obj["metadata"].get("deletionTimestamp"))
    allocated = status.get("allocation") is not None
    states = (
        (deleted, "deleted"),
        (not deleted and not allocated, "pending"),
        (allocated, "allocated"),
        (allocated and bool(status.get("reservedFor")), "reserved"),
    )
    return ",".join(name for applies, name in states if applies)


def resource_slice(obj: Object, now: datetime) -> Cells:
    name, created = meta_of(obj)
    spec = obj.get("spec") or {}
    node, pool = spec.get("nodeName") or "", (spec.get("pool") or {}).get("name") or ""
    return [name, node, spec.get("driver") or "", pool, age(created, now)]
