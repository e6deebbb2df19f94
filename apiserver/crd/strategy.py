"""Strategy of custom resources, made from one version of a definition.

Order and hooks are those of every kind (see :mod:`apiserver.registry.strategy`). Source: apiextensions
``pkg/registry/customresource``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cached_property
from time import monotonic
from typing import Any, Final

from apiserver.api import meta, names
from apiserver.api.field_errors import ErrorType, FieldError, Path, invalid
from apiserver.api.gvk import GroupVersionKind
from apiserver.cel.syntax import CostExceeded
from apiserver.cel.values import equal
from apiserver.crd.defaulting import drop_nulls, set_defaults
from apiserver.crd.definition import Version
from apiserver.crd.jsonpath import compiled as json_path
from apiserver.crd.list_types import validate_lists
from apiserver.crd.objectmeta import validate_embedded
from apiserver.crd.rules import Rules
from apiserver.crd.structural import Structural
from apiserver.crd.values import validate
from apiserver.registry.strategy import Object, RegistryOptions, Strategy
from apiserver.validation.objectmeta import validate_metadata, validate_metadata_update

_BLOCKING: Final = frozenset(
    {
        ErrorType.NOT_SUPPORTED,
        ErrorType.REQUIRED,
        ErrorType.TOO_LONG,
        ErrorType.TOO_MANY,
        ErrorType.TYPE_INVALID,
    }
)
"""Kinds of errors after which CEL rules would speak of values they were not written for."""
_UNCHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)
_RULE_SECONDS: Final = 1.0
_MAX_REPLICAS: Final = 2**31 - 1


class CustomStatus:
    """Updates through the status subresource: nothing but the status changes."""

    def __init__(self, main: CustomStrategy) -> None:
        self._main = main

    def prepare_for_update(self, new: Object, old: Object) -> None:
        status, managed = new.get("status"), new["metadata"].get("managedFields")
        version = new["metadata"].get("resourceVersion")
        new.clear()
        new.update(deepcopy(old))
        new.pop("status", None)
        if status is not None:
            new["status"] = status
        for key, value in (("managedFields", managed), ("resourceVersion", version)):
            new["metadata"].pop(key, None)
            if value is not None:
                new["metadata"][key] = value

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        found = self._main.validate_update(new, old)
        self._main.warnings(new, old)  # nobody is told of them here
        return found


class CustomStrategy(Strategy):
    allow_unconditional_update = False

    def __init__(
        self,
        gvk: GroupVersionKind,
        namespaced: bool,
        options: RegistryOptions,
        version: Version,
        schema: Callable[[], Structural],
    ) -> None:
        super().__init__(gvk, namespaced, options)
        self._version = version
        self._load = schema
        self._ratcheted: dict[int, list[str]] = {}  # by the id of the object, which is being written
        self._has_status = version.subresources.get("status") is not None
        self.status = CustomStatus(self) if self._has_status else None  # type: ignore[assignment]

    @cached_property
    def schema(self) -> Structural:
        return self._load()

    @cached_property
    def _rules(self) -> Rules | None:
        return Rules(self.schema) if self.schema.has_rules else None

    @property
    def validates_long(self) -> bool:
        """Its rules are users' own, and may do a great deal within their budget."""
        return self.schema.has_rules

    @property
    def scale(self) -> Mapping[str, str] | None:
        """The paths of the scale subresource."""
        return self._version.subresources.get("scale")

    def default(self, obj: Object) -> None:
        drop_nulls(obj, self.schema)
        set_defaults(obj, self.schema)

    def prepare_for_create(self, obj: Object) -> None:
        if self._has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, new: Object, old: Object) -> None:
        if self._has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = deepcopy(old["status"])
        generation = meta.generation(old)
        new["metadata"]["generation"] = generation + 1 if self.is_new_generation(new, old) else generation

    def is_new_generation(self, new: Object, old: Object) -> bool:
        left, right = ({k: v for k, v in obj.items() if k != "metadata"} for obj in (new, old))
        return not equal(left, right)

    def validate(self, obj: Object) -> list[FieldError]:
        found = self._type_errors(obj)
        if found:
            return found
        found = validate_metadata(obj["metadata"], self.namespaced, names.check_dns1123_subdomain)
        found += validate(obj, self.schema)
        return self._rest(obj, None, found + self._scale_errors(obj))

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        found = self._type_errors(new)
        if found:
            return found
        found = validate_metadata_update(new["metadata"], old["metadata"])
        found += validate(new, self.schema, Path(), old)
        return self._rest(new, old, found + self._scale_errors(new))

    def _type_errors(self, obj: Object) -> list[FieldError]:
        for key, wanted in (("kind", self.gvk.kind), ("apiVersion", self.gvk.group_version)):
            if obj.get(key) != wanted:
                return [invalid(Path(key), obj.get(key) or "", f"must be {wanted}")]
        return []

    def _rest(self, new: Object, old: Object | None, found: list[FieldError]) -> list[FieldError]:
        found += validate_embedded(new, self.schema)
        if old is None:
            found += validate_lists(new, self.schema, Path())
        else:
            found += validate_lists(new, self.schema, Path(), old)
        self._ratcheted.pop(id(new), None)  # of a write that was given up
        if self._rules is None:
            return found
        if any(error.type in _BLOCKING for error in found):
            return [*found, invalid(Path(), None, _UNCHECKED)]
        errors, ratcheted = self._rules.validate(new, old, deadline(monotonic))
        found += errors
        if ratcheted and not found:
            self._ratcheted[id(new)] = ratcheted
        return found

    def _scale_errors(self, obj: Object) -> list[FieldError]:
        if self.scale is None:
            return []
        found: list[FieldError] = []
        for key in ("specReplicasPath", "statusReplicasPath"):
            path = self.scale[key]
            for value in json_path(path).find(obj):
                if not isinstance(value, int):
                    continue
                where = Path(path)
                if value < 0:
                    found.append(invalid(where, value, "should be a non-negative integer"))
                elif value > _MAX_REPLICAS:
                    text = f"should be less than or equal to {_MAX_REPLICAS}"
                    found.append(invalid(where, value, text))
        return found

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """Rules that an unchanged part breaks, as the validation of the same object found just before."""
        return self._ratcheted.pop(id(new), [])

    def select_fields(self, obj: Object) -> dict[str, str]:
        fields = super().select_fields(obj)
        for path in self._version.selectable:
            fields[path[1:]] = _selected(json_path(path).find(obj))
        return fields


def deadline(clock: Callable[[], float]) -> Callable[[], None]:
    """A check that ends an evaluation after a second, whatever its cost: the author of the write waits for it."""
    end = clock() + _RULE_SECONDS

    def check() -> None:
        if clock() > end:
            raise CostExceeded

    return check


def _selected(found: list[Any]) -> str:
    if not found or found[0] is None:
        return ""
    value = found[0]
    return str(value).lower() if isinstance(value, bool) else str(value)
