"""DefaultStorageClass: a claim that names no class gets the default one."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader
from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

STORAGE_CLASSES = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
IS_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(Plugin):
    """Of several defaults the newest wins, then the first by name."""

    name = "DefaultStorageClass"
    changes = {"persistentvolumeclaims": ("spec/storageClassName",)}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        claim = attributes.obj
        if claim is None or not attributes.is_on("", "persistentvolumeclaims", CREATE):
            return
        if claim["spec"].get("storageClassName") is not None or CLASS_ANNOTATION in meta.annotations(claim):
            return
        defaults = [c for c in await reader.list(STORAGE_CLASSES) if is_default(c)]
        if defaults:
            claim["spec"]["storageClassName"] = meta.name(newest(defaults))


def is_default(obj: Object) -> bool:
    """True when the class is annotated as the default."""
    return any(meta.annotations(obj).get(key) == "true" for key in IS_DEFAULT)


def newest(objects: list[Object]) -> Object:
    """The one created last; of equals the first by name."""
    by_name = sorted(objects, key=meta.name)
    return max(by_name, key=lambda obj: str(meta.metadata(obj).get("creationTimestamp", "")))
