"""Nodes, namespaces, configuration, events, volumes. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apiserver.http.printers.common import NONE, UNKNOWN, UNSET, age, meta_of

Object = dict[str, Any]
Cells = list[Any]
_ROLE: Final = "node-role.kubernetes.io/"
_MODES: Final = (  # in the order in which they are shown
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"


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
            return str(address.get("address", ""))
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


def resource_quota(obj: Object, now: datetime) -> Cells:
    """What is used of what is allowed, in two columns: limits and everything else."""
    name, created = meta_of(obj)
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = [(key, f"{key}: {used.get(key, '0')}/{hard[key]}") for key in sorted(hard)]
    limits = [text for key, text in shown if key.startswith("limits.")]
    requests = [text for key, text in shown if not key.startswith("limits.")]
    return [name, ", ".join(requests), ", ".join(limits), age(created, now)]


def component_status(obj: Object, now: datetime) -> Cells:
    name, _ = meta_of(obj)
    for condition in obj.get("conditions") or ():
        if condition.get("type") == "Healthy":
            healthy = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [name, healthy, condition.get("message") or "", condition.get("error") or ""]
    return [name, "Unknown", "", ""]


def _modes(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _MODES if mode in (modes or ()))


def _class(obj: Object) -> str:
    """The annotation came before the field and still counts more."""
    annotation = (obj["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    return str(
        annotation if annotation is not None else (obj.get("spec") or {}).get("storageClassName") or ""
    )


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
        _class(obj),
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
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else "",
        _class(obj),
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
