"""Defaults of pod specs, shared by pods and everything with a pod template. Source:
``pkg/apis/core/v1/defaults.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from apiserver.registry.strategy import Object, fill

_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_FILE_MODE: Final = 0o644


def default_template(template: Object) -> None:
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    """What a template and a pod have in common."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in containers(spec):
        _default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for constraint in spec.get("topologySpreadConstraints") or ():
        fill(constraint, whenUnsatisfiable="DoNotSchedule")


def default_pod(pod: Object) -> None:
    """What only pods get, after :func:`default_pod_spec`."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    fill(spec, enableServiceLinks=True)
    for container in containers(spec):
        _default_requests(container.get("resources") or {})
        for port in container.get("ports") or () if spec.get("hostNetwork") else ():
            port["hostPort"] = port.get("hostPort") or port.get("containerPort", 0)
    _default_requests(spec.get("resources") or {})


def containers(spec: Object) -> Iterator[Object]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _default_requests(resources: Object) -> None:
    limits = resources.get("limits")
    if limits:
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_container(container: Object) -> None:
    fill(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image") or ""),
    )
    for port in container.get("ports") or ():
        fill(port, protocol="TCP")
    for variable in container.get("env") or ():
        _default_field_sources(variable.get("valueFrom") or {})
    for probe in _PROBES:
        if container.get(probe) is not None:
            _default_probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook)


def _pull_policy(image: str) -> str:
    """Always for the latest tag, written or implied; a digest is as good as a tag."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _default_field_sources(source: Object) -> None:
    if source.get("fieldRef") is not None:
        fill(source["fieldRef"], apiVersion="v1")
    if source.get("resourceFieldRef") is not None:
        fill(source["resourceFieldRef"], divisor="0")


def _default_http(handler: Object) -> None:
    if handler.get("httpGet") is not None:
        fill(handler["httpGet"], path="/", scheme="HTTP")


def _default_probe(probe: Object) -> None:
    for name, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe[name] = probe.get(name) or value
    _default_http(probe)
    if probe.get("grpc") is not None:
        fill(probe["grpc"], service="")


def default_volume(volume: Object) -> None:
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}
    for field in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(field) is not None:
            fill(volume[field], defaultMode=_FILE_MODE)
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field_sources(item)
    if volume.get("hostPath") is not None:
        fill(volume["hostPath"], type="")
    for source in (volume.get("projected") or {}).get("sources") or ():
        _default_projection(source)
    image = volume.get("image")
    if image is not None:
        image["pullPolicy"] = image.get("pullPolicy") or _pull_policy(image.get("reference") or "")
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template:
        fill(template.setdefault("spec", {}), volumeMode="Filesystem", resources={})
    default_remote(volume)


def _default_projection(source: Object) -> None:
    if source.get("serviceAccountToken") is not None:
        fill(source["serviceAccountToken"], expirationSeconds=3600)
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        _default_field_sources(item)


_REMOTE: Final[dict[str, dict[str, Any]]] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_remote(volume: Object) -> None:
    """Of volumes of pods and PersistentVolumes alike."""
    for field, defaults in _REMOTE.items():
        if volume.get(field) is not None:
            fill(volume[field], **defaults)
