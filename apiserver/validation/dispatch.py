"""Validation of whole objects: metadata rules for every kind, then the kind's own rules.

Called by strategies after defaulting. Rules are pure functions of the object (and the old one), in one file
per family; the tables here say which belong to which kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupVersionKind
from apiserver.validation.objectmeta import validate_metadata, validate_metadata_update
from apiserver.validation.rules import (
    CHECKED_TWICE,
    CREATE_RULES,
    METADATA_ON_UPDATE,
    NEW_RULES,
    UPDATE_RULES,
    name_rule,
)
from apiserver.validation.status import validate_status

Object = dict[str, Any]
Options = Mapping[str, Any]
_REGISTRY: Final = ("full", "update")
_AGAINST_OLD: Final = ("update",)


def validate_create(
    gvk: GroupVersionKind, obj: Object, namespaced: bool, options: Options
) -> list[FieldError]:
    identity = (gvk.group, gvk.kind)
    found = validate_metadata(obj.get("metadata") or {}, namespaced, name_rule(*identity))
    for rules in (CREATE_RULES, NEW_RULES):
        rule = rules.get(identity)
        if rule is not None:
            found += rule(obj, options)
    return found


def validate_update(
    gvk: GroupVersionKind, new: Object, old: Object, options: Options, *, status: bool = False
) -> list[FieldError]:
    """``status``: through the status subresource, where the spec is known to be the old one."""
    identity = (gvk.group, gvk.kind)
    if status:
        return _metadata(new, old, _AGAINST_OLD) + validate_status(gvk.group, gvk.kind, new, old)
    found = _metadata(new, old, METADATA_ON_UPDATE.get(identity, _AGAINST_OLD))
    rule, update = CREATE_RULES.get(identity), UPDATE_RULES.get(identity)
    if rule is not None:
        found += rule(new, options) * (2 if identity in CHECKED_TWICE else 1)
    return found + (update(new, old, options) if update else [])


def _metadata(new: Object, old: Object, own: tuple[str, ...]) -> list[FieldError]:
    """As often as the original tells it: the registry checks it as new and against the old, then the kind."""
    metadata, before = new.get("metadata") or {}, old.get("metadata") or {}
    whole = validate_metadata(metadata, bool(before.get("namespace")), names.check_path_segment)
    found = {"full": whole, "update": validate_metadata_update(metadata, before)}
    return [error for part in (*_REGISTRY, *own) for error in found[part]]
