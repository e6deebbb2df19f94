"""Validation of whole objects: metadata rules for every kind, then the kind's own rules.

Called by strategies after defaulting. Rules are pure functions of the object (and the old one), in one file
per family; the tables here say which belong to which kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupVersionKind
from apiserver.validation.objectmeta import validate_metadata, validate_metadata_update
from apiserver.validation.rules import CREATE_RULES, NEW_RULES, UPDATE_RULES, name_rule
from apiserver.validation.status import validate_status

Object = dict[str, Any]
Options = Mapping[str, Any]


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
    found = validate_metadata_update(new.get("metadata") or {}, old.get("metadata") or {})
    if status:
        return found + validate_status(gvk.group, gvk.kind, new, old)
    identity = (gvk.group, gvk.kind)
    rule = CREATE_RULES.get(identity)
    if rule is not None:
        found += rule(new, options)
    update = UPDATE_RULES.get(identity)
    return found + (update(new, old, options) if update else [])
