"""Priority: turns a pod's priority class into a number, and keeps one default class."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, UPDATE, Attributes, Plugin, Reader
from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

PRIORITY_CLASSES = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")
DEFAULT_PREEMPTION = "PreemptLowerPriority"


class Priority(Plugin):
    """As `plugin/pkg/admission/priority`."""

    name = "Priority"
    changes = {"pods": ("spec/priority", "spec/priorityClassName", "spec/preemptionPolicy")}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        pod = attributes.obj
        if pod is None:
            return
        if attributes.is_on("", "pods", CREATE):
            await self._fill_in(attributes, pod["spec"], reader)
        elif attributes.is_on("", "pods", UPDATE) and attributes.old is not None:
            _keep(pod["spec"], attributes.old.get("spec") or {})

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        wanted = attributes.is_on("scheduling.k8s.io", "priorityclasses", CREATE, UPDATE)
        if not wanted or attributes.obj is None or not attributes.obj.get("globalDefault"):
            return
        for other in await reader.list(PRIORITY_CLASSES):
            if other.get("globalDefault") and meta.name(other) != meta.name(attributes.obj):
                name = meta.name(other)
                raise attributes.forbidden(
                    f"PriorityClass {name} is already marked as default. Only one default can exist"
                )

    async def _fill_in(self, attributes: Attributes, spec: Object, reader: Reader) -> None:
        found = await self._find(attributes, spec.get("priorityClassName", ""), reader)
        value = found["value"] if found else 0
        policy = (found or {}).get("preemptionPolicy") or DEFAULT_PREEMPTION
        if found:
            spec["priorityClassName"] = meta.name(found)
        if spec.get("priority") not in (None, value):
            raise attributes.forbidden(
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy") not in (None, policy):
            raise attributes.forbidden(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in "
                f"pod spec; priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"] = value
        spec["preemptionPolicy"] = policy

    async def _find(self, attributes: Attributes, name: str, reader: Reader) -> Object | None:
        if not name:
            classes = [c for c in await reader.list(PRIORITY_CLASSES) if c.get("globalDefault")]
            return min(classes, key=lambda c: int(c.get("value") or 0), default=None)
        found = await reader.get(PRIORITY_CLASSES, "", name, fresh=True)
        if found is None:
            raise attributes.forbidden(f"no PriorityClass with name {name} was found")
        return found


def _keep(new: Object, old: Object) -> None:
    """An update that leaves the computed fields out keeps them."""
    for field in ("priority", "preemptionPolicy"):
        if new.get(field) is None and old.get(field) is not None:
            new[field] = old[field]
