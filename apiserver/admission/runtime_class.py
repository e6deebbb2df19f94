"""RuntimeClass: a pod that names one gets its overhead and scheduling rules."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

RUNTIME_CLASSES = GroupVersionResource("node.k8s.io", "v1", "runtimeclasses")


class RuntimeClass(Plugin):
    """As `plugin/pkg/admission/runtimeclass`."""

    name = "RuntimeClass"
    changes = {"pods": ("spec/overhead", "spec/nodeSelector", "spec/tolerations")}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.obj is None or not attributes.is_on("", "pods", CREATE):
            return
        spec = attributes.obj["spec"]
        found = await self._find(attributes, spec, reader)
        if found is not None:
            _set_overhead(attributes, spec, found)
            _set_scheduling(attributes, spec, found.get("scheduling") or {})

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.obj is None or not attributes.is_on("", "pods", CREATE):
            return
        spec = attributes.obj["spec"]
        if spec.get("overhead") and not spec.get("runtimeClassName"):
            raise attributes.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined"
            )

    async def _find(self, attributes: Attributes, spec: Object, reader: Reader) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = await reader.get(RUNTIME_CLASSES, "", name, fresh=True)
        if found is None:
            raise attributes.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _set_overhead(attributes: Attributes, spec: Object, found: Object) -> None:
    fixed = (found.get("overhead") or {}).get("podFixed") or {}
    given = spec.get("overhead")
    if given and given != fixed:
        raise attributes.forbidden(
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        )
    if fixed:
        spec["overhead"] = dict(fixed)


def _set_scheduling(attributes: Attributes, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            raise attributes.forbidden(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    extra = [t for t in scheduling.get("tolerations") or () if t not in tolerations]
    if extra:
        spec["tolerations"] = tolerations + extra
