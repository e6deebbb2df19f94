"""Pods: status, ephemeral containers, resize (``registry/core/pod/strategy.go``)."""

from __future__ import annotations

import copy
from typing import Any, Final

from apiserver.api import meta, pods
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid
from apiserver.registry.strategy import Object, StatusStrategy, Strategy, keep_metadata
from apiserver.validation.diff import diff
from apiserver.validation.dispatch import validate_update
from apiserver.validation.ephemeral import validate_ephemeral, validate_kept
from apiserver.validation.pods import validate_pod

_MIRROR: Final = "kubernetes.io/config.mirror"
_MUTABLE: Final = ("cpu", "memory")
_RESIZED: Final = ("resources", "resizePolicy")


class PodStatus(StatusStrategy):
    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        keep_metadata(new, old, ("deletionTimestamp", "ownerReferences"))
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if not status.get("qosClass") and before.get("qosClass"):
            status["qosClass"] = before["qosClass"]
        _agree(status)
        _keep_generations(status, before)


def _agree(status: Object) -> None:
    """The single address is the first of the list; where they differ, it counts."""
    address, addresses = status.get("podIP"), status.get("podIPs") or []
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses and not address:
        status["podIP"] = addresses[0].get("ip", "")


def _keep_generations(status: Object, before: Object) -> None:
    """A writer that knows nothing of observedGeneration does not take it back."""
    known: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        known.setdefault(condition.get("type"), []).append(condition.get("observedGeneration") or 0)
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    for condition in status.get("conditions") or ():
        generations = known.get(condition.get("type")) or [0]
        generation = generations.pop(0)
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


class _PodPart:
    """One part of the spec may change, and nothing else."""

    def __init__(self, main: Strategy) -> None:
        self._main = main

    def _restore(self, new: Object, old: Object) -> None:
        """All but identity as it was."""
        new["spec"] = copy.deepcopy(old["spec"])
        new["status"] = copy.deepcopy(old.get("status") or {})
        keep_metadata(new, old)

    def _count(self, new: Object, old: Object) -> None:
        changed = new["spec"] != old["spec"]
        new["metadata"]["generation"] = meta.generation(old) + changed

    def _common(self, new: Object, old: Object) -> list[FieldError]:
        gvk, options = self._main.gvk, self._main.validation_options
        return validate_pod(new, options) + validate_update(gvk, new, old, options, status=True)


class EphemeralContainers(_PodPart):
    def prepare_for_update(self, new: Object, old: Object) -> None:
        wanted = new["spec"].get("ephemeralContainers")
        self._restore(new, old)
        new["spec"].pop("ephemeralContainers", None)
        if wanted:
            new["spec"]["ephemeralContainers"] = wanted
        self._count(new, old)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        if _MIRROR in meta.annotations(old):
            return [forbidden(Path("[]"), "static pods do not support ephemeral containers")]
        spec = new["spec"]
        return self._common(new, old) + validate_ephemeral(spec) + validate_kept(spec, old["spec"])


class Resize(_PodPart):
    """Resources of containers. Containers that are added, removed or renamed are left for validation to refuse."""

    def prepare_for_update(self, new: Object, old: Object) -> None:
        wanted = new["spec"]
        if _names(wanted) == _names(old["spec"]):
            self._restore(new, old)
            for kind in ("containers", "initContainers"):
                for container, asked in zip(new["spec"].get(kind) or (), wanted.get(kind) or (), strict=True):
                    _take(container, asked, _RESIZED)
            _take(new["spec"], wanted, ("resources",))
        self._count(new, old)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        if _MIRROR in meta.annotations(old):
            return [forbidden(Path("[]"), "static pods cannot be resized")]
        if (old["spec"].get("os") or {}).get("name") == "windows":
            return [forbidden(Path("[]"), "windows pods cannot be resized")]
        found, path = self._common(new, old), Path("spec")
        if pods.compute_pod_qos(new) != pods.pod_qos(old):
            shown = (new.get("status") or {}).get("qosClass", "")
            found.append(invalid(path, shown, "Pod QOS Class may not change as a result of resizing"))
        for kind in ("containers", "initContainers"):
            found += _removals(new["spec"].get(kind) or [], old["spec"].get(kind) or [], path.child(kind))
        frozen, before = _frozen(new["spec"]), _frozen(old["spec"])
        if frozen != before:
            text = "only cpu and memory resources are mutable\n"
            found.append(forbidden(path, text + diff(before, frozen)))
        return found


def _names(spec: Object) -> list[list[Any]]:
    return [[c.get("name") for c in spec.get(kind) or ()] for kind in ("containers", "initContainers")]


def _take(target: Object, source: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        target.pop(field, None)
        if field in source:
            target[field] = source[field]


def _removals(new: list[Object], old: list[Object], path: Path) -> list[FieldError]:
    """What has a request or limit keeps one."""
    found = []
    for at, (container, before) in enumerate(zip(new, old, strict=False)):
        for field in ("requests", "limits"):
            had, has = ((c.get("resources") or {}).get(field) or {} for c in (before, container))
            if set(had) - set(has):
                place = path.index(at).child("resources").child(field)
                found.append(forbidden(place, f"resource {field} cannot be removed"))
    return found


def _frozen(spec: Object) -> Object:
    """The spec without what a resize may change: init containers change only if they go on running."""
    kept = copy.deepcopy(spec)
    sidecars = [c for c in kept.get("initContainers") or () if pods.is_sidecar(c)]
    for holder in (kept, *(kept.get("containers") or ()), *sidecars):
        holder.pop("resizePolicy", None)
        resources = holder.pop("resources", None) or {}
        for field in ("limits", "requests"):
            rest = {k: v for k, v in (resources.pop(field, None) or {}).items() if k not in _MUTABLE}
            if rest:
                resources[field] = rest
        if resources:
            holder["resources"] = resources
    return kept
