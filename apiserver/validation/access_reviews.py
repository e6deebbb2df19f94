"""What may be asked of the authorizer (``apis/authorization/validation``). Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, Raw, invalid

Object = dict[str, Any]
_SPEC: Final = Path("spec")
_NEITHER: Final = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def validate_self(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        return [invalid(_SPEC.child("nonResourceAttributes"), _shown(path), text)]
    if resource is None and path is None:
        return [invalid(_SPEC.child("resourceAttributes"), None, _NEITHER)]
    return []


def validate_subject(spec: Object) -> list[FieldError]:
    found = validate_self(spec)
    if not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        found.append(invalid(_SPEC.child("user"), "", text))
    return found


def validate_local(spec: Object, namespace: str) -> list[FieldError]:
    found = validate_subject(spec)
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and (resource.get("namespace") or "") != namespace:
        where = _SPEC.child("resourceAttributes").child("namespace")
        found.append(invalid(where, resource.get("namespace") or "", "must match metadata.namespace"))
    if path is not None:
        text = "disallowed on this kind of request"
        found.append(invalid(_SPEC.child("nonResourceAttributes"), _shown(path), text))
    return found


def _shown(path: Object) -> Raw:
    """As the original's internal type is written, which has no names for JSON."""
    value = {"Path": path.get("path") or "", "Verb": path.get("verb") or ""}
    return Raw(json.dumps(value, separators=(",", ":")))
