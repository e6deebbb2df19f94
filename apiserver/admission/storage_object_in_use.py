"""StorageObjectInUseProtection: volumes and claims get a finalizer, so that none vanishes while in use."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader

FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class StorageObjectInUseProtection(Plugin):
    """The protection controllers take the finalizer away again."""

    name = "StorageObjectInUseProtection"
    changes = {
        "persistentvolumeclaims": ("metadata/finalizers",),
        "persistentvolumes": ("metadata/finalizers",),
    }

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        finalizer = FINALIZERS.get(attributes.gvr.resource)
        if attributes.obj is None or finalizer is None:
            return
        if not attributes.is_on("", attributes.gvr.resource, CREATE):
            return
        metadata = attributes.obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if finalizer not in finalizers:
            metadata["finalizers"] = [*finalizers, finalizer]
