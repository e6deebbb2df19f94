"""What a pod asks for and the process runtime does not enforce (P): one line for one Event.

Called by `pods.worker` when it makes a pod's sandbox. Only what changes how a pod is confined or runs is
listed; what makes a pod impossible is refused elsewhere (`pods.containers`, `volumes.manager`). Limits on
memory are enforced, by the shim.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
_ENFORCED_LIMITS = frozenset({"memory"})
_POD_FIELDS = ("hostPID", "hostIPC", "shareProcessNamespace", "dnsConfig", "runtimeClassName", "resources")
_POD_CONTEXT = ("fsGroup", "supplementalGroups", "sysctls")
_CONTEXT = ("seLinuxOptions", "capabilities", "procMount")
_PROFILES = ("seccompProfile", "appArmorProfile")
_CONTAINER_FIELDS = ("stdin", "tty", "restartPolicyRules")


def unenforced(pod: Object) -> str:
    """The fields, as `field (container)` lists; empty if all of the pod is honoured."""
    spec = pod["spec"]
    found: dict[str, list[str]] = {field: [] for field in _of_pod(spec)}
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for field in _of_container(container, shares_host=bool(spec.get("hostNetwork"))):
            found.setdefault(field, []).append(container["name"])
    return ", ".join(f"{field} ({', '.join(names)})" if names else field for field, names in found.items())


def _of_pod(spec: Object) -> Iterator[str]:
    yield from (field for field in _POD_FIELDS if spec.get(field))
    context = spec.get("securityContext") or {}
    yield from (f"securityContext.{f}" for f in _POD_CONTEXT if context.get(f) not in (None, []))
    yield from _confinement(context)
    for volume in spec.get("volumes") or []:
        for field in ("medium", "sizeLimit"):
            if (volume.get("emptyDir") or {}).get(field):
                yield f"emptyDir.{field} of volume {volume['name']}"


def _of_container(container: Object, *, shares_host: bool) -> Iterator[str]:
    limits = (container.get("resources") or {}).get("limits") or {}
    yield from (f"resources.limits.{name}" for name in limits if name not in _ENFORCED_LIMITS)
    yield from (field for field in _CONTAINER_FIELDS if container.get(field))
    for port in container.get("ports") or []:
        if port.get("hostPort") and not shares_host:
            yield f"hostPort {port['hostPort']}"
    context = container.get("securityContext") or {}
    yield from _confinement(context)
    if context.get("allowPrivilegeEscalation") is False:
        yield "securityContext.allowPrivilegeEscalation"
    if (container.get("lifecycle") or {}).get("stopSignal"):
        yield "lifecycle.stopSignal"
    for mount in container.get("volumeMounts") or []:
        if mount.get("mountPropagation") not in (None, "None"):
            yield f"mountPropagation of {mount['mountPath']}"


def _confinement(context: Object) -> Iterator[str]:
    yield from (f"securityContext.{field}" for field in _CONTEXT if context.get(field))
    for field in _PROFILES:
        if (context.get(field) or {}).get("type", "Unconfined") != "Unconfined":
            yield f"securityContext.{field}"
