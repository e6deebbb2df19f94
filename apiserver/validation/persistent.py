"""Rules for PersistentVolumes and claims (``ValidatePersistentVolume``, ``ValidatePersistentVolumeClaim``). Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from apiserver.api.quantity import ZERO, canonical, parse_quantity
from apiserver.validation.common import immutable, label_selector
from apiserver.validation.diff import diff
from apiserver.validation.remote_volumes import nfs, volume_csi
from apiserver.validation.scheduling import node_selector
from apiserver.validation.volumes import no_backsteps

Object = dict[str, Any]
Options = Mapping[str, Any]
_SPEC: Final = Path("spec")
_ACCESS_MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_RECLAIM: Final = ("Delete", "Recycle", "Retain")
_MODES: Final = ("Block", "Filesystem")
_SOURCES: Final = (
    *(
        "hostPath",
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "nfs",
        "rbd",
        "quobyte",
        "cephfs",
    ),
    *(
        "iscsi",
        "cinder",
        "fc",
        "flocker",
        "azureFile",
        "vsphereVolume",
        "photonPersistentDisk",
        "portworxVolume",
    ),
    *("azureDisk", "scaleIO", "local", "storageos", "csi"),
)
_CHECKS: Final = {"nfs": nfs, "csi": volume_csi}
_POSITIVE: Final = "must be greater than zero"
_FIXED: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName"
    " for bound claims"
)


def _access_modes(spec: Object, missing: str, path: Path = _SPEC) -> list[FieldError]:
    where, modes = path.child("accessModes"), spec.get("accessModes") or ()
    if not modes:
        return [required(where, missing)]
    found = [not_supported(where, mode, _ACCESS_MODES) for mode in modes if mode not in _ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        found.append(forbidden(where, "may not use ReadWriteOncePod with other access modes"))
    return found


def _class_name(spec: Object, field: str) -> list[FieldError]:
    name = spec.get(field) or ""
    if not name:
        return []
    return [invalid(_SPEC.child(field), name, text) for text in names.check_dns1123_subdomain(name)]


def _volume_mode(spec: Object) -> list[FieldError]:
    mode = spec.get("volumeMode")
    return [] if mode is None or mode in _MODES else [not_supported(_SPEC.child("volumeMode"), mode, _MODES)]


def validate_claim(obj: Object, options: Options) -> list[FieldError]:
    spec, path = obj.get("spec") or {}, _SPEC.child("resources").key("storage")
    found = _access_modes(spec, "at least 1 access mode is required")
    found += label_selector(spec.get("selector"), _SPEC.child("selector"))
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if amount is None:
        found.append(required(path))
    elif parse_quantity(amount) <= ZERO:
        found.append(invalid(path, canonical(amount), _POSITIVE))
    found += _class_name(spec, "storageClassName") + _volume_mode(spec)
    return found + _class_name(spec, "volumeAttributesClassName")


def validate_claim_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """A bound claim may ask for more; any claim may be bound, and may get the default class."""
    spec, before = new["spec"], old["spec"]
    fixed = {**spec, "volumeName": before.get("volumeName")} if not before.get("volumeName") else dict(spec)
    if before.get("volumeName"):
        fixed = {**fixed, "resources": before.get("resources")}
        fixed["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if before.get("storageClassName") is None and "beta.kubernetes.io/storage-class" not in spec:
        fixed["storageClassName"] = before.get("storageClassName")
    if _set(fixed) != _set(before):
        return [forbidden(_SPEC, f"{_FIXED}\n{diff(_set(before), _set(spec))}")]
    return _shrunk(spec, before, old)


def _set(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if value is not None}


def _shrunk(spec: Object, before: Object, old: Object) -> list[FieldError]:
    """Not below what the volume has."""
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    had = ((before.get("resources") or {}).get("requests") or {}).get("storage")
    has = ((old.get("status") or {}).get("capacity") or {}).get("storage")
    if asked is None or had is None or parse_quantity(asked) >= parse_quantity(had):
        return []
    if has is not None and parse_quantity(asked) > parse_quantity(has):
        return []
    text = "field can not be less than status.capacity"
    return [forbidden(_SPEC.child("resources", "requests", "storage"), text)]


def validate_volume(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = _access_modes(spec, "") + _capacity(spec.get("capacity") or {}) + _source(spec)
    found += _node_affinity(spec)
    policy, where = spec.get("persistentVolumeReclaimPolicy"), _SPEC.child("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM:
        found.append(not_supported(where, policy, _RECLAIM))
    place = (spec.get("hostPath") or {}).get("path")
    if policy == "Recycle" and place and posixpath.normpath(place) == "/":
        found.append(forbidden(where, "may not be 'recycle' for a hostPath mount of '/'"))
    return found + _class_name(spec, "storageClassName") + _volume_mode(spec)


def _capacity(capacity: Object) -> list[FieldError]:
    path, found = _SPEC.child("capacity"), []
    if not capacity:
        found.append(required(path))
    if set(capacity) != {"storage"}:
        found.append(not_supported(path, dict(sorted(capacity.items())) or None, ["storage"]))
    amount = capacity.get("storage")
    if amount is not None and parse_quantity(amount) <= ZERO:
        found.append(invalid(path.key("storage"), canonical(amount), _POSITIVE))
    return found


def validate_inline_volume(spec: Object, path: Path) -> list[FieldError]:
    """The volume that a VolumeAttachment carries itself: a CSI one, for one pod."""
    text = "may not be specified in the context of inline volumes"
    given = [field for field in ("claimRef", "capacity") if spec.get(field)]
    found = [forbidden(path.child(field), text) for field in given]
    if spec.get("csi") is None:
        found.append(required(path.child("csi"), "has to be specified in the context of inline volumes"))
    found += _access_modes(spec, "", path) + _source(spec, path)
    unfit = ("persistentVolumeReclaimPolicy", "nodeAffinity", "storageClassName")
    found += [forbidden(path.child(field), text) for field in unfit if spec.get(field)]
    if spec.get("volumeMode") not in (None, "Filesystem"):
        text = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        found.append(forbidden(path.child("volumeMode"), text))
    return found


def _source(spec: Object, path: Path = _SPEC) -> list[FieldError]:
    given = [kind for kind in _SOURCES if spec.get(kind) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    text = "may not specify more than 1 volume type"
    found = [forbidden(path.child(kind), text) for kind in given[1:]]
    if given[0] in ("hostPath", "local"):
        place, where = spec[given[0]].get("path") or "", path.child(given[0], "path")
        found += no_backsteps(place, where) if place else [required(where)]
    check = _CHECKS.get(given[0])
    return found + (check(spec[given[0]], path.child(given[0])) if check else [])


def _node_affinity(spec: Object) -> list[FieldError]:
    affinity, path = spec.get("nodeAffinity"), _SPEC.child("nodeAffinity")
    if affinity is None:
        text = "Local volume requires node affinity"
        return [required(path, text)] if spec.get("local") is not None else []
    if affinity.get("required") is None:
        return [required(path.child("required"), "must specify required node constraints")]
    return node_selector(affinity["required"], path.child("required"))


def validate_volume_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """The source, once chosen, stays."""
    mine, theirs = ({k: obj["spec"].get(k) for k in _SOURCES} for obj in (new, old))
    found: list[FieldError] = []
    if mine != theirs:
        text = f"spec.persistentvolumesource is immutable after creation\n{diff(_set(theirs), _set(mine))}"
        found.append(forbidden(_SPEC, text))
    mode, before = new["spec"].get("volumeMode"), old["spec"].get("volumeMode")
    return found + immutable(mode, before, _SPEC.child("volumeMode"))
