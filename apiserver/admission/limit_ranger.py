"""LimitRanger: default requests and limits of a namespace, and its bounds on them.

`limit_checks` holds the bounds; this file the defaults and the plugin. As `plugin/pkg/admission/limitranger`.
"""

from __future__ import annotations

from apiserver.admission.interface import CREATE, UPDATE, Attributes, Plugin, Reader
from apiserver.admission.limit_checks import claim_violations, pod_violations
from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

LIMIT_RANGES = GroupVersionResource("", "v1", "limitranges")
ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    """Acts on new pods and on claims; an update of a pod is never refused for its resources."""

    name = "LimitRanger"
    changes = {
        "pods": ("metadata/annotations/", "spec/containers/", "spec/initContainers/"),
        "persistentvolumeclaims": ("spec/resources/",),
    }

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        pod = attributes.obj
        if pod is None or not attributes.is_on("", "pods", CREATE):
            return
        for item in await self._ranges(attributes, reader):
            apply_defaults(pod, item)

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        obj = attributes.obj
        if obj is None or meta.is_deleting(obj):
            return
        pod = attributes.is_on("", "pods", CREATE)
        if not pod and not attributes.is_on("", "persistentvolumeclaims", CREATE, UPDATE):
            return
        for item in await self._ranges(attributes, reader):
            violations = pod_violations(obj, item) if pod else claim_violations(obj, item)
            if violations:
                joined = violations[0] if len(violations) == 1 else f"[{', '.join(violations)}]"
                raise attributes.forbidden(joined)

    async def _ranges(self, attributes: Attributes, reader: Reader) -> list[Object]:
        if not attributes.namespace:
            return []
        return sorted(await reader.list(LIMIT_RANGES, attributes.namespace), key=meta.name)


def apply_defaults(pod: Object, limit_range: Object) -> None:
    """Fill in what containers leave out, and say so in the pod's annotation."""
    requests, limits = _container_defaults(limit_range)
    spec = pod["spec"]
    notes: list[str] = []
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            notes += _fill(container, "requests", requests, f"request for {word}")
            notes += _fill(container, "limits", limits, f"limit for {word}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _container_defaults(limit_range: Object) -> tuple[dict[str, str], dict[str, str]]:
    """(default requests, default limits) of the items of type Container."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            requests.update(item.get("defaultRequest") or {})
            limits.update(item.get("default") or {})
    return requests, limits


def _fill(container: Object, field: str, defaults: dict[str, str], what: str) -> list[str]:
    resources = container.get("resources") or {}
    present = resources.get(field) or {}
    missing = sorted(key for key in defaults if key not in present)
    if not missing:
        return []
    container["resources"] = {**resources, field: {**present, **{key: defaults[key] for key in missing}}}
    return [f"{', '.join(missing)} {what} {container.get('name', '')}"]
