"""What the fake API server does to objects (P): creation, merge patches, deletion marks, binding."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object, format_time
from components.client.errors import ApiError
from components.client.resources import NAMESPACES, PODS
from components.client.transport import MERGE_PATCH, STRATEGIC_PATCH

_MERGE_KEYS = {"conditions": "type", "containers": "name", "ownerReferences": "uid", "taints": "key"}


def refuse(code: int, reason: str, message: str) -> ApiError:
    return ApiError(
        code, reason, message, {"kind": "Status", "code": code, "reason": reason, "message": message}
    )


def new_object(
    obj: Object,
    kind: str,
    gvr: GroupVersionResource,
    stamp: str,
    number: int,
    *,
    namespace: str | None = None,
    keep_status: bool = False,
) -> Object:
    """`obj` as it is stored first; the server drops a status that comes with a create."""
    stored = copy.deepcopy(obj)
    metadata = stored.setdefault("metadata", {})
    stored.setdefault("apiVersion", gvr.group_version)
    stored.setdefault("kind", kind)
    if namespace:
        metadata.setdefault("namespace", namespace)
    if not metadata.get("name"):
        if not metadata.get("generateName"):
            raise refuse(422, "Invalid", "name or generateName is required")
        metadata["name"] = f"{metadata['generateName']}{number:05d}"
    metadata.setdefault("uid", f"uid-{number}")
    metadata.setdefault("creationTimestamp", stamp)
    if "spec" in stored:
        metadata.setdefault("generation", 1)
    if not keep_status:
        stored.pop("status", None)
    if gvr == PODS:
        stored.setdefault("status", {}).setdefault("phase", "Pending")
    if gvr == NAMESPACES:
        stored.setdefault("status", {}).setdefault("phase", "Active")
    return stored


def with_status_of(old: Object, new: Object, subresource: str | None) -> Object:
    """A write to an object keeps its status; a write to its status keeps all but the status."""
    if subresource == "status":
        kept = copy.deepcopy(old)
        if "status" in new:
            kept["status"] = new["status"]
        return kept
    if subresource:
        raise refuse(404, "NotFound", f"FakeApi has no subresource {subresource} to write")
    if "status" in old:
        new["status"] = copy.deepcopy(old["status"])
    else:
        new.pop("status", None)
    return new


def bump_generation(old: Object, new: Object) -> None:
    generation = old["metadata"].get("generation")
    if generation is not None:
        new["metadata"]["generation"] = generation + (new.get("spec") != old.get("spec"))


def merged(old: Object, patch: Any, content_type: str) -> Object:
    """`old` with a merge or strategic merge patch applied; strategic lists merge by the usual keys."""
    if content_type not in (MERGE_PATCH, STRATEGIC_PATCH):
        raise refuse(415, "UnsupportedMediaType", f"FakeApi cannot apply {content_type}")
    result = _merge(copy.deepcopy(old), copy.deepcopy(patch), content_type == STRATEGIC_PATCH)
    return dict(result)


def _merge(target: Any, patch: Any, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif strategic and isinstance(value, list) and key in _MERGE_KEYS:
            result[key] = _merge_list(result.get(key) or [], value, _MERGE_KEYS[key])
        else:
            result[key] = _merge(result.get(key), value, strategic)
    return result


def _merge_list(target: list[Any], patch: list[Any], key: str) -> list[Any]:
    items = {item[key]: item for item in target}
    for change in patch:
        if change.get("$patch") == "delete":
            items.pop(change[key], None)
        else:
            items[change[key]] = _merge(items.get(change[key]), change, True)
    return [*items.values()]


def mark_deleted(
    old: Object, gvr: GroupVersionResource, grace: int | None, policy: str | None, now: datetime
) -> Object:
    """`old` with deletionTimestamp and, where it applies, grace period and finalizers of the policy."""
    obj = copy.deepcopy(old)
    metadata = obj["metadata"]
    seconds = _grace_seconds(obj, grace) if gvr == PODS else 0
    if "deletionTimestamp" in metadata:
        seconds = min(seconds, metadata.get("deletionGracePeriodSeconds", 0))
    else:
        metadata["deletionTimestamp"] = format_time(now + timedelta(seconds=seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy or "")
    if finalizer and finalizer not in metadata.setdefault("finalizers", []):
        metadata["finalizers"].append(finalizer)
    return obj


def _grace_seconds(pod: Object, asked: int | None) -> int:
    """Only a pod that a kubelet may be running ends gracefully."""
    spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return int(asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30))


def bind_pod(old: Object, binding: Object, stamp: str) -> Object:
    """`old` assigned to the binding's target; 409 when it already has a node or is being deleted."""
    pod = copy.deepcopy(old)
    name = pod["metadata"]["name"]
    prefix = f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} '
    if pod["metadata"].get("deletionTimestamp"):
        raise refuse(409, "Conflict", prefix + "is being deleted, cannot be assigned to a host")
    assigned = pod.setdefault("spec", {}).get("nodeName")
    if assigned:
        raise refuse(409, "Conflict", prefix + f'is already assigned to node "{assigned}"')
    pod["spec"]["nodeName"] = binding["target"]["name"]
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [c for c in conditions if c["type"] != "PodScheduled"]
    conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp})
    return pod
