"""(P) The columns of core objects that are not workloads: configuration, namespaces, nodes, events, volumes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import meta
from apiserver.http.printers.common import NONE, UNKNOWN, UNSET, Object, age, joined, since, spec, status

ROLE_LABEL = "node-role.kubernetes.io/"
ROLE_VALUE_LABEL = "kubernetes.io/role"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def config_map(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def secret(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), obj.get("type", ""), len(obj.get("data") or {}), age(obj, now)]


def service_account(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), age(obj, now)]


def namespace(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), status(obj).get("phase", ""), age(obj, now)]


def node(obj: Object, now: datetime) -> list[Any]:
    info = status(obj).get("nodeInfo") or {}
    return [
        meta.name(obj),
        _node_status(obj),
        _roles(obj),
        age(obj, now),
        info.get("kubeletVersion", ""),
        _node_address(obj, "InternalIP"),
        _node_address(obj, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(obj: Object) -> str:
    ready = [c for c in status(obj).get("conditions") or [] if c.get("type") == "Ready"]
    words = ["Ready" if c.get("status") == "True" else "NotReady" for c in ready] or ["Unknown"]
    if spec(obj).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: Object) -> str:
    roles = set()
    for key, value in meta.labels(obj).items():
        if key.startswith(ROLE_LABEL) and key != ROLE_LABEL:
            roles.add(key.removeprefix(ROLE_LABEL))
        elif key == ROLE_VALUE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _node_address(obj: Object, kind: str) -> str:
    addresses = status(obj).get("addresses") or []
    return next((a["address"] for a in addresses if a.get("type") == kind), NONE)


def event(obj: Object, now: datetime) -> list[Any]:
    """Of core/v1 and of events.k8s.io/v1: the second names some fields differently."""
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = (
        series.get("lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("deprecatedLastTimestamp")
        or first
    )
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}"
        if about.get("name")
        else about.get("kind", "").lower(),
        about.get("fieldPath", ""),
        _source(obj),
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        meta.name(obj),
    ]


def _source(obj: Object) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = (
        source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    )
    host = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _access_modes(modes: list[str] | None) -> str:
    found = modes or []
    return ",".join(short for long, short in _MODES.items() if long in found)


def _volume_class(obj: Object) -> str:
    old = meta.annotations(obj).get("volume.beta.kubernetes.io/storage-class")
    return old if old is not None else spec(obj).get("storageClassName") or ""


def claim(obj: Object, now: datetime) -> list[Any]:
    volume = spec(obj).get("volumeName", "")
    bound = bool(volume)
    phase = "Terminating" if meta.is_deleting(obj) else status(obj).get("phase", "")
    return [
        meta.name(obj),
        phase,
        volume,
        str((status(obj).get("capacity") or {}).get("storage", "")) if bound else "",
        _access_modes(status(obj).get("accessModes")) if bound else "",
        _volume_class(obj),
        spec(obj).get("volumeAttributesClassName") or UNSET,
        age(obj, now),
        spec(obj).get("volumeMode") or UNSET,
    ]


def volume(obj: Object, now: datetime) -> list[Any]:
    owner = spec(obj).get("claimRef")
    phase = "Terminating" if meta.is_deleting(obj) else status(obj).get("phase", "")
    return [
        meta.name(obj),
        str((spec(obj).get("capacity") or {}).get("storage", "")),
        _access_modes(spec(obj).get("accessModes")),
        spec(obj).get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{owner.get('namespace', '')}/{owner.get('name', '')}" if owner else "",
        _volume_class(obj),
        spec(obj).get("volumeAttributesClassName") or UNSET,
        status(obj).get("reason", ""),
        age(obj, now),
        spec(obj).get("volumeMode") or UNSET,
    ]


def quota(obj: Object, now: datetime) -> list[Any]:
    hard, used = status(obj).get("hard") or {}, status(obj).get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        target = limits if name.startswith("limits") else requests
        target.append(f"{name}: {used.get(name, 0)}/{hard[name]}")
    return [meta.name(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


def component_status(obj: Object, now: datetime) -> list[Any]:
    healthy = [c for c in obj.get("conditions") or [] if c.get("type") == "Healthy"]
    condition = healthy[0] if healthy else {}
    word = "Healthy" if condition.get("status") == "True" else "Unhealthy"
    return [meta.name(obj), word, condition.get("message", ""), condition.get("error", "")]


def storage_class(obj: Object, now: datetime) -> list[Any]:
    default = any(
        meta.annotations(obj).get(f"storageclass.{part}kubernetes.io/is-default-class") == "true"
        for part in ("", "beta.")
    )
    return [
        meta.name(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


def volume_attachment(obj: Object, now: datetime) -> list[Any]:
    source = spec(obj).get("source") or {}
    return [
        meta.name(obj),
        spec(obj).get("attacher", ""),
        source.get("persistentVolumeName", ""),
        spec(obj).get("nodeName", ""),
        bool(status(obj).get("attached")),
        age(obj, now),
    ]


def csi_driver(obj: Object, now: datetime) -> list[Any]:
    found = spec(obj)
    tokens = joined(t.get("audience", "") for t in found.get("tokenRequests") or ()) or UNSET
    return [
        meta.name(obj),
        found.get("attachRequired", True),
        bool(found.get("podInfoOnMount")),
        bool(found.get("storageCapacity")),
        tokens,
        bool(found.get("requiresRepublish")),
        joined(found.get("volumeLifecycleModes") or ()),
        age(obj, now),
    ]


def csi_node(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), len(spec(obj).get("drivers") or ()), age(obj, now)]


PRINTERS = {
    ("", "ConfigMap"): config_map,
    ("", "Secret"): secret,
    ("", "ServiceAccount"): service_account,
    ("", "Namespace"): namespace,
    ("", "Node"): node,
    ("", "Event"): event,
    ("events.k8s.io", "Event"): event,
    ("", "PersistentVolumeClaim"): claim,
    ("", "PersistentVolume"): volume,
    ("", "ResourceQuota"): quota,
    ("", "ComponentStatus"): component_status,
    ("storage.k8s.io", "StorageClass"): storage_class,
    ("storage.k8s.io", "VolumeAttachment"): volume_attachment,
    ("storage.k8s.io", "CSIDriver"): csi_driver,
    ("storage.k8s.io", "CSINode"): csi_node,
}
