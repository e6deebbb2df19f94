"""(P) JSON Merge Patch, RFC 7396."""

from __future__ import annotations

from typing import Any

from apiserver.api.meta import Object


def apply(document: Object, patch: Object) -> Object:
    """The patched document; null deletes, maps merge, everything else replaces."""
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _merged(current: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return apply(current if isinstance(current, dict) else {}, value)
