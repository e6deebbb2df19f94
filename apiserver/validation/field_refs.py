"""Fields of the pod that its containers may ask for (``validateObjectFieldSelector``). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid, not_supported, required

Object = dict[str, Any]
ENVIRONMENT: Final = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
VOLUMES: Final = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
)
_KNOWN: Final = frozenset({*ENVIRONMENT, *VOLUMES})
_WITH_KEY: Final = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")
_RESOURCES: Final = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)


def field_ref(reference: Object, path: Path, allowed: Collection[str]) -> list[FieldError]:
    where, text = path.child("fieldPath"), reference.get("fieldPath") or ""
    if not reference.get("apiVersion"):
        return [required(path.child("apiVersion"))]
    if not text:
        return [required(where)]
    if keyed := _WITH_KEY.fullmatch(text):
        return _keyed(keyed[1], keyed[2], where)
    if text not in _KNOWN:
        reason = f"error converting fieldPath: field label not supported: {text}"
        return [invalid(where, text, reason)]
    return [] if text in allowed else [not_supported(where, text, allowed)]


def _keyed(field: str, key: str, path: Path) -> list[FieldError]:
    key = key.lower() if field == "metadata.annotations" else key
    return [invalid(path, key, text) for text in names.check_qualified_name(key)]


def resource_ref(reference: Object, path: Path, *, in_volume: bool) -> list[FieldError]:
    if in_volume and not reference.get("containerName"):
        return [required(path.child("containerName"))]
    resource = reference.get("resource") or ""
    if not resource:
        return [required(path.child("resource"))]
    if resource in _RESOURCES or resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return []
    return [not_supported(path.child("resource"), resource, _RESOURCES)]
