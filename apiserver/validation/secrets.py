"""Rules for Secrets: what each well-known type must hold (``ValidateSecret``). Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import meta
from apiserver.api.field_errors import FieldError, Path, invalid, required, too_long
from apiserver.api.go_json import complaint, no_map
from apiserver.validation.common import config_keys, immutable

Object = dict[str, Any]
_LIMIT: Final = 1024 * 1024
_DATA: Final = Path("data")
_ACCOUNT: Final = "kubernetes.io/service-account.name"
_REDACTED: Final = "<secret contents redacted>"


def validate_secret(obj: Object, options: Mapping[str, Any]) -> list[FieldError]:
    data = obj.get("data") or {}
    found = config_keys(data, _DATA)
    if sum(len(base64.b64decode(value)) for value in data.values()) > _LIMIT:
        found.append(too_long(_DATA, _LIMIT))
    check = _TYPES.get(obj.get("type") or "")
    return found + (check(obj) if check else [])


def _keys(*keys: str) -> Callable[[Object], list[FieldError]]:
    return lambda obj: [required(_DATA.key(key)) for key in keys if key not in (obj.get("data") or {})]


def _token(obj: Object) -> list[FieldError]:
    path = Path("metadata").child("annotations").key(_ACCOUNT)
    return [] if meta.annotations(obj).get(_ACCOUNT) else [required(path)]


def _basic(obj: Object) -> list[FieldError]:
    data = obj.get("data") or {}
    if "username" in data or "password" in data:
        return []
    return [required(_DATA.key("username")), required(_DATA.key("password"))]


def _docker(key: str) -> Callable[[Object], list[FieldError]]:
    def check(obj: Object) -> list[FieldError]:
        value = (obj.get("data") or {}).get(key)
        if value is None:
            return [required(_DATA.key(key))]
        text = base64.b64decode(value).decode("utf-8", "replace")
        wrong = _fault(text)
        return [invalid(_DATA.key(key), _REDACTED, wrong)] if wrong else []

    return check


def _fault(text: str) -> str:
    """Why it is no JSON object, in Go's words."""
    try:
        value = json.loads(text)
    except ValueError:
        return complaint(text)
    if isinstance(value, dict) or value is None:
        return ""
    return no_map(value)


_TYPES: Final[Mapping[str, Callable[[Object], list[FieldError]]]] = {
    "kubernetes.io/service-account-token": _token,
    "kubernetes.io/dockercfg": _docker(".dockercfg"),
    "kubernetes.io/dockerconfigjson": _docker(".dockerconfigjson"),
    "kubernetes.io/basic-auth": _basic,
    "kubernetes.io/ssh-auth": _keys("ssh-privatekey"),
    "kubernetes.io/tls": _keys("tls.crt", "tls.key"),
}


def validate_secret_type(new: Object, old: Object) -> list[FieldError]:
    return immutable(new.get("type"), old.get("type"), Path("type"))
