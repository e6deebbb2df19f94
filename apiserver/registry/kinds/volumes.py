"""Storage kinds: persistent volumes and claims, storage classes, CSI objects."""

from __future__ import annotations

from typing import Any

from apiserver.api import meta
from apiserver.api.meta import format_time
from apiserver.registry.kinds.pod_spec import default_remote, default_volume
from apiserver.registry.strategy import Object, Strategy, desired, fill


class PersistentVolumeStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
        if spec.get("hostPath") is not None:
            default_volume({"name": "", "hostPath": spec["hostPath"]})
        default_remote(spec)

    def prepare_for_create(self, obj: Object) -> None:
        moment = format_time(self.options.now())
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": moment}


class PersistentVolumeClaimStrategy(Strategy):
    has_status = True
    initial_status = {"phase": "Pending"}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, volumeMode="Filesystem")

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _mirror_data_source(obj["spec"])

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        _mirror_data_source(new["spec"])


def _mirror_data_source(spec: Object) -> None:
    """dataSource and dataSourceRef say the same thing; either fills the other."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif reference and not source and not reference.get("namespace"):
        spec["dataSource"] = {key: reference.get(key) for key in ("apiGroup", "kind", "name")}


class StorageClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


class CSIDriverStrategy(Strategy):
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        defaults: dict[str, Any] = {
            "attachRequired": True,
            "podInfoOnMount": False,
            "storageCapacity": False,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "volumeLifecycleModes": ["Persistent"],
            "requiresRepublish": False,
            "seLinuxMount": False,
        }
        fill(obj.setdefault("spec", {}), **defaults)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """There is a generation only once the spec has changed."""
        if desired(new) != desired(old):
            new["metadata"]["generation"] = meta.generation(old) + 1


class ConditionalStrategy(Strategy):
    """Kinds whose updates must name the resourceVersion they are based on."""

    allow_unconditional_update = False


class VolumeAttachmentStrategy(Strategy):
    allow_unconditional_update = False
    has_status = True
    initial_status = {"attached": False}
