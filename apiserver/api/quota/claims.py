"""(P) PersistentVolumeClaims against quotas: their number and their storage, in all and by storage class."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from apiserver.api import meta
from apiserver.api.gvk import GroupResource
from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity
from apiserver.api.quota import amounts
from apiserver.api.quota.amounts import Amounts
from apiserver.api.quota.evaluator import ONE, Evaluator, matches_value

_CLAIMS: Final = "persistentvolumeclaims"
_STORAGE: Final = "requests.storage"
_BY_CLASS: Final = ".storageclass.storage.k8s.io/"
_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
_NAMES: Final = frozenset({f"count/{_CLAIMS}", _CLAIMS, _STORAGE})


def tracks(name: str) -> bool:
    return name in _NAMES or name.endswith((_BY_CLASS + _CLAIMS, _BY_CLASS + _STORAGE))


def usage(claim: Object, now: datetime) -> Amounts:
    found = {_CLAIMS: ONE, f"count/{_CLAIMS}": ONE}
    storage_class = _class_of(claim)
    if storage_class:
        found[storage_class + _BY_CLASS + _CLAIMS] = ONE
    storage = _storage_of(claim)
    if storage is not None:
        found[_STORAGE] = storage
        if storage_class:
            found[storage_class + _BY_CLASS + _STORAGE] = storage
    return found


def _class_of(claim: Object) -> str:
    annotated = meta.annotations(claim).get(_CLASS_ANNOTATION)
    return annotated if annotated is not None else (claim.get("spec") or {}).get("storageClassName") or ""


def _storage_of(claim: Object) -> Quantity | None:
    """In whole bytes. What is allocated counts if it is more: a resize that failed may have taken it."""
    resources = (claim.get("spec") or {}).get("resources") or {}
    asked = amounts.parse(resources.get("requests")).get("storage")
    if asked is None:
        return None
    allocated = amounts.parse((claim.get("status") or {}).get("allocatedResources")).get("storage")
    largest = asked if allocated is None or allocated < asked else allocated
    return Quantity.of(largest.value(), largest.format)


def in_scope(scope: Object, claim: Object) -> bool:
    if scope["scopeName"] != "VolumeAttributesClass":
        return False
    return any(matches_value(scope, name) for name in _attributes_classes(claim) or [None])


def _attributes_classes(claim: Object) -> list[str | None]:
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    found = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return [name for name in found if name]


def _grows(subresource: str, new: Object, old: Object) -> bool:
    if subresource == "status":
        return _storage_of(new) != _storage_of(old) or _attributes_classes(new) != _attributes_classes(old)
    return not subresource


CLAIMS: Final = Evaluator(GroupResource("", _CLAIMS), usage, tracks, in_scope, charges_update=_grows)
