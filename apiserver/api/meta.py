"""Reading object metadata, and the time formats of the API.

Objects are plain dicts as JSON gives them; these helpers spare callers the missing-key dance.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def metadata(obj: Mapping[str, Any]) -> Object:
    return obj.get("metadata") or {}


def name(obj: Mapping[str, Any]) -> str:
    return metadata(obj).get("name") or ""


def namespace(obj: Mapping[str, Any]) -> str:
    return metadata(obj).get("namespace") or ""


def uid(obj: Mapping[str, Any]) -> str:
    return metadata(obj).get("uid") or ""


def resource_version(obj: Mapping[str, Any]) -> str:
    return metadata(obj).get("resourceVersion") or ""


def generation(obj: Mapping[str, Any]) -> int:
    return metadata(obj).get("generation") or 0


def labels(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def annotations(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def finalizers(obj: Mapping[str, Any]) -> list[str]:
    return metadata(obj).get("finalizers") or []


def owner_references(obj: Mapping[str, Any]) -> list[Object]:
    return metadata(obj).get("ownerReferences") or []


def deletion_timestamp(obj: Mapping[str, Any]) -> str | None:
    return metadata(obj).get("deletionTimestamp")


def is_deleting(obj: Mapping[str, Any]) -> bool:
    return bool(deletion_timestamp(obj))


def object_key(obj: Mapping[str, Any]) -> str:
    """``"namespace/name"``, or ``"name"`` for cluster-scoped objects."""
    scope = namespace(obj)
    return f"{scope}/{name(obj)}" if scope else name(obj)


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The owner reference with ``controller: true``."""
    for reference in owner_references(obj):
        if reference.get("controller"):
            return reference
    return None


def new_controller_ref(owner: Mapping[str, Any], api_version: str, kind: str) -> Object:
    """As ``metav1.NewControllerRef``: blocks the owner's foreground deletion."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def parse_time(text: str) -> datetime:
    """RFC 3339 with or without fraction; raises ValueError."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None or len(text) < 20:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    return parsed


def format_time(moment: datetime) -> str:
    """``metav1.Time``: UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def format_micro_time(moment: datetime) -> str:
    """``metav1.MicroTime``: UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
