"""PersistentVolumeClaimResize: a claim grows only if it is bound and its class lets claims grow."""

from __future__ import annotations

from typing import Final

from apiserver.admission.default_storage_class import CLASS_ANNOTATION, STORAGE_CLASSES
from apiserver.admission.interface import UPDATE, Attributes, Plugin, Reader
from apiserver.api import meta
from apiserver.api.meta import Object
from apiserver.api.quantity import Quantity, parse_quantity

_NOT_BOUND: Final = "Only bound persistent volume claims can be expanded"
_NOT_ALLOWED: Final = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
    "must support resize"
)


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        claim, old = attributes.obj, attributes.old
        if claim is None or old is None or not attributes.is_on("", "persistentvolumeclaims", UPDATE):
            return
        if not _grows(old, claim):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise attributes.forbidden(_NOT_BOUND)
        wanted = _class(claim)
        found = await reader.get(STORAGE_CLASSES, "", wanted) if wanted and wanted == _class(old) else None
        if not (found or {}).get("allowVolumeExpansion"):
            raise attributes.forbidden(_NOT_ALLOWED)


def _grows(old: Object, new: Object) -> bool:
    before, after = _storage(old), _storage(new)
    return after is not None and (before is None or before < after)


def _storage(claim: Object) -> Quantity | None:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return parse_quantity(requests["storage"]) if "storage" in requests else None


def _class(claim: Object) -> str:
    return meta.annotations(claim).get(CLASS_ANNOTATION) or claim["spec"].get("storageClassName") or ""
