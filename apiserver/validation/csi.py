"""Rules for VolumeAttachments, CSIDrivers, CSINodes and CSIStorageCapacities (``pkg/apis/storage/validation``).

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
    too_long,
)
from apiserver.validation.common import immutable, label_selector, non_negative, non_negative_quantity
from apiserver.validation.domains import driver, qualified, subdomain
from apiserver.validation.objectmeta import IMMUTABLE
from apiserver.validation.persistent import validate_inline_volume

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_STATUS: Final = Path("status")
_MAX_METADATA: Final = 256 * 1024
_MAX_ERROR: Final = 1024
_MAX_NODE_ID: Final = 256
_MIN_PERIOD: Final = 10
_TEN_MINUTES: Final = 600
_FS_GROUP: Final = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES: Final = ("Persistent", "Ephemeral")
_ONE_SOURCE: Final = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def validate_new_attachment(obj: Object, options: Options) -> list[FieldError]:
    """What is checked once; `validate_attachment` comes first."""
    spec = obj.get("spec") or {}
    found = driver(spec.get("attacher") or "", _SPEC.child("attacher"))
    name = (spec.get("source") or {}).get("persistentVolumeName")
    if name is not None:
        found += subdomain(name, _SPEC.child("source", "persistentVolumeName"))
    return found


def validate_attachment_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = new.get("spec") or {}, old.get("spec") or {}
    return [] if mine == theirs else [invalid(_SPEC, go_struct(mine), IMMUTABLE)]


def validate_attachment(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = [] if spec.get("attacher") else [required(_SPEC.child("attacher"))]
    found += _source(spec.get("source") or {}, _SPEC.child("source"))
    found += subdomain(spec.get("nodeName") or "", _SPEC.child("nodeName"))
    return found + validate_attachment_status(obj.get("status") or {}, {})


def _source(source: Object, path: Path) -> list[FieldError]:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and name is None:
        return [required(path, _ONE_SOURCE)]
    if inline is not None and name is not None:
        return [forbidden(path, _ONE_SOURCE)]
    if inline is not None:
        return validate_inline_volume(inline, path.child("inlineVolumeSpec"))
    return (
        []
        if name
        else [required(path.child("persistentVolumeName"), "must specify non empty persistentVolumeName")]
    )


def validate_attachment_status(status: Object, old: Object) -> list[FieldError]:
    metadata = status.get("attachmentMetadata") or {}
    found: list[FieldError] = []
    if sum(len(k.encode()) + len(v.encode()) for k, v in metadata.items()) > _MAX_METADATA:
        found.append(too_long(_STATUS.child("attachmentMetadata"), _MAX_METADATA))
    for field in ("attachError", "detachError"):
        error, path = status.get(field) or {}, _STATUS.child(field)
        if len((error.get("message") or "").encode()) > _MAX_ERROR:
            found.append(too_long(path.child("message"), _MAX_METADATA))  # the limit that the original names
        if (error.get("errorCode") or 0) < 0:
            text = "must be between 0 and 2147483647, inclusive"
            found.append(invalid(path.child("errorCode"), error["errorCode"], text))
    return found


def validate_driver(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found: list[FieldError] = []
    for field, shown in (
        ("attachRequired", "attachedRequired"),  # spelled so by the original
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ):
        if spec.get(field) is None:
            found.append(required(_SPEC.child(shown)))
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _FS_GROUP:
        found.append(not_supported(_SPEC.child("fsGroupPolicy"), policy, _FS_GROUP))
    found += _token_requests(spec.get("tokenRequests") or (), _SPEC.child("tokenRequests"))
    where = _SPEC.child("volumeLifecycleModes")
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _LIFECYCLES:
            found.append(not_supported(where, mode, _LIFECYCLES, ordered=True))
    if spec.get("seLinuxMount") is None:
        found.append(required(_SPEC.child("seLinuxMount")))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < _MIN_PERIOD:
        where, text = (
            _SPEC.child("nodeAllocatableUpdatePeriodSeconds"),
            "must be greater than or equal to 10 seconds",
        )
        found.append(invalid(where, period, text))
    return found


def _token_requests(requests: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, request in enumerate(requests):
        audience, seconds = request.get("audience") or "", request.get("expirationSeconds")
        where = path.index(at).child("expirationSeconds")
        if audience in seen:
            found.append(duplicate(path.index(at).child("audience"), audience))
        elif seconds is not None and seconds < _TEN_MINUTES:
            found.append(invalid(where, seconds, "may not specify a duration less than 10 minutes"))
        elif seconds is not None and seconds > 1 << 32:
            found.append(invalid(where, seconds, "may not specify a duration larger than 2^32 seconds"))
        seen.add(audience)
    return found


def validate_driver_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = new.get("spec") or {}, old.get("spec") or {}
    return [
        *immutable(mine.get("attachRequired"), theirs.get("attachRequired"), _SPEC.child("attachedRequired")),
        *immutable(
            mine.get("volumeLifecycleModes"),
            theirs.get("volumeLifecycleModes"),
            _SPEC.child("volumeLifecycleModes"),
        ),
    ]


def validate_node(obj: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, entry in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        name, identity = entry.get("name") or "", entry.get("nodeID") or ""
        path = _SPEC.child("drivers").index(at)
        found += driver(name, path.child("name"))
        if not identity:
            found.append(required(path.child("nodeID")))
        if len(identity.encode()) > _MAX_NODE_ID:
            text = f"must be {_MAX_NODE_ID} characters or less"
            found.append(invalid(path.child("nodeID"), identity, text))
        found += non_negative(
            (entry.get("allocatable") or {}).get("count"), path.child("allocatable", "count")
        )
        if name in seen:
            found.append(duplicate(path.child("name"), name))
        seen.add(name)
        found += _topology_keys(entry.get("topologyKeys") or [], path)
    return found


def _topology_keys(keys: list[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, key in enumerate(keys):
        if not key:
            found.append(required(path))
        if key in keys[:at]:
            found.append(duplicate(path, key))
        found += qualified(key, path)
    return found


def validate_node_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """An entry of a driver stays as it is but for what the node can take."""
    mine, theirs = (_by_name(obj) for obj in (new, old))
    return [
        invalid(_SPEC.child("drivers"), go_struct(mine[name]), IMMUTABLE)
        for name in theirs
        if name in mine and mine[name] != theirs[name]
    ]


def _by_name(obj: Object) -> dict[str, Object]:
    drivers = (obj.get("spec") or {}).get("drivers") or ()
    return {d.get("name") or "": {k: v for k, v in d.items() if k != "allocatable"} for d in drivers}


def validate_capacity(obj: Object, options: Options) -> list[FieldError]:
    found = label_selector(obj.get("nodeTopology"), Path("nodeTopology"))
    found += subdomain(obj.get("storageClassName") or "", Path("storageClassName"))
    if obj.get("capacity") is not None:
        found += non_negative_quantity(obj["capacity"], Path("capacity"))
    return found


def validate_capacity_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = new.get("nodeTopology"), old.get("nodeTopology")
    found = [] if mine == theirs else [invalid(Path("nodeTopology"), go_struct(mine), IMMUTABLE)]
    return found + immutable(
        new.get("storageClassName"), old.get("storageClassName"), Path("storageClassName")
    )
