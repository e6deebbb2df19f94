"""CustomResourceDefinition: defaults, stored versions, and a deletion that waits for the instances."""

from __future__ import annotations

from typing import Any

from apiserver.api import meta
from apiserver.api.conditions import set_condition
from apiserver.api.field_errors import FieldError
from apiserver.crd.definition import FINALIZER
from apiserver.crd.validation import (
    validate_definition,
    validate_definition_status,
    validate_definition_update,
)
from apiserver.registry.strategy import Object, StatusStrategy, Strategy, fill


class DefinitionStatus(StatusStrategy):
    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_definition_status(new, old)


class CustomResourceDefinitionStrategy(Strategy):
    allow_unconditional_update = False
    has_status = True
    tracks_generation = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.status = DefinitionStatus(self)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        fill(names, plural="", kind="")
        kind = names["kind"]
        if kind:
            fill(names, singular=kind.lower(), listKind=f"{kind}List")
        if not spec.get("conversion"):
            spec["conversion"] = {"strategy": "None"}
        client = (spec["conversion"].get("webhook") or {}).get("clientConfig") or {}
        if client.get("service"):
            fill(client["service"], port=443)

    def prepare_for_create(self, obj: Object) -> None:
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": None,
        }
        obj["metadata"]["generation"] = 1
        _record_storage_version(obj)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        _record_storage_version(new)

    @property
    def validates_long(self) -> bool:
        """A schema may have tens of thousands of parts."""
        return True

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_definition(obj)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_definition_update(new, old)

    def begin_deletion(self, obj: Object, now: str) -> bool:
        """First the instances go; the controller takes the finalizer away after them."""
        if meta.is_deleting(obj):
            return False
        obj["metadata"]["deletionTimestamp"] = now
        finalizers = meta.finalizers(obj)
        if FINALIZER not in finalizers:
            obj["metadata"]["finalizers"] = [*finalizers, FINALIZER]
        conditions = obj.setdefault("status", {}).get("conditions") or []
        pending = {
            "type": "Terminating",
            "status": "True",
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        }
        set_condition(conditions, pending, now)
        obj["status"]["conditions"] = conditions
        return True


def _record_storage_version(obj: Object) -> None:
    """Objects may be stored in this version from now on."""
    status = obj.setdefault("status", {})
    stored = list(status.get("storedVersions") or ())
    for version in obj["spec"].get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version.get("name"))
    status["storedVersions"] = stored or None
