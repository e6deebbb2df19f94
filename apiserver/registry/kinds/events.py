"""Events, stored as core/v1 and served as core/v1 and events.k8s.io/v1."""

from __future__ import annotations

from typing import Final

from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupVersionKind
from apiserver.registry.strategy import Object, Strategy
from apiserver.validation.dispatch import validate_create, validate_update

_EVENTS_V1: Final = "events.k8s.io/v1"
_TO_NEW: Final = {
    # core/v1 name: events.k8s.io/v1 name
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_TO_CORE: Final = {new: old for old, new in _TO_NEW.items()}
_CORE_ALWAYS: Final = {"reportingComponent": "", "reportingInstance": ""}
_REFERENCE: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


class EventStrategy(Strategy):
    allow_create_on_update = True

    def from_version(self, obj: Object, group_version: str) -> Object:
        if group_version != _EVENTS_V1:
            return obj
        renamed = {_TO_CORE.get(key, key): value for key, value in obj.items()}
        return {**_CORE_ALWAYS, **renamed, "apiVersion": "v1"}

    def to_version(self, obj: Object, group_version: str) -> Object:
        if group_version != _EVENTS_V1:
            return obj
        renamed = {_TO_NEW.get(key, key): value for key, value in obj.items()}
        for name in ("reportingController", "reportingInstance"):
            if not renamed.get(name):
                renamed.pop(name, None)
        renamed["apiVersion"] = _EVENTS_V1
        return renamed

    def select_fields(self, obj: Object) -> dict[str, str]:
        """Under the names of both versions."""
        involved, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        reporter = obj.get("reportingComponent") or ""
        fields = super().select_fields(obj)
        for name in _REFERENCE:
            fields[f"involvedObject.{name}"] = fields[f"regarding.{name}"] = involved.get(name) or ""
        fields["type"] = obj.get("type") or ""
        fields["reason"] = obj.get("reason") or ""
        fields["source"] = source.get("component") or reporter
        fields["reportingComponent"] = fields["reportingController"] = reporter
        return fields


class EventV1Strategy(EventStrategy):
    """Events written through events.k8s.io/v1, which is stricter. They are stored as the others."""

    _SERVED: Final = GroupVersionKind("events.k8s.io", "v1", "Event")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_create(self._SERVED, self._core(obj), self.namespaced, self.validation_options)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_update(self._SERVED, self._core(new), self._core(old), self.validation_options)

    def _core(self, obj: Object) -> Object:
        """Rules know the names of the stored form, as those of the original are of its internal one."""
        return self.from_version(obj, _EVENTS_V1)
