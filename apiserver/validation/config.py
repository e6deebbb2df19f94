"""Rules for ConfigMaps, and for what is frozen in Secrets, too. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, too_long
from apiserver.validation.common import config_keys
from apiserver.validation.secrets import validate_secret_type

Object = dict[str, Any]
Options = Mapping[str, Any]

_LIMIT: Final = 1024 * 1024
_NO_CHANGE: Final = "field is immutable when `immutable` is set"


def validate_config_map(obj: Object, options: Options) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    found = []
    for key in sorted(data):
        found += config_keys([key], Path("data"))
        if key in binary:
            text = "duplicate of key present in binaryData"
            found.append(invalid(Path("data").key(key), key, text))
    found += config_keys(binary, Path("binaryData"))
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(base64.b64decode(value)) for value in binary.values())
    if size > _LIMIT:
        found.append(too_long(Path("[]"), _LIMIT))  # as Go writes a path of one empty name
    return found


def validate_frozen(new: Object, old: Object, options: Options) -> list[FieldError]:
    """``immutable: true`` freezes the data and itself."""
    if not old.get("immutable"):
        return []
    found = []
    if not new.get("immutable"):
        found.append(forbidden(Path("immutable"), _NO_CHANGE))
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            found.append(forbidden(Path(field), _NO_CHANGE))
    return found


def validate_secret_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    return validate_secret_type(new, old) + validate_frozen(new, old, options)
