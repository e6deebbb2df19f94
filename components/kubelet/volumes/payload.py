"""The files of a configMap, secret, downwardAPI or projected volume (P): relative path -> (content, mode).

Called by `volumes.manager` with the objects already fetched; the result goes to `volumes.writer`.
"""

from __future__ import annotations

import base64
from typing import Any

Object = dict[str, Any]
Payload = dict[str, tuple[bytes, int]]
DEFAULT_MODE = 0o644


class PayloadError(Exception):
    """References a key that is not there, or leaves the volume; the text is the original's."""


def data_of(obj: Object) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if obj.get("kind") == "Secret" or "type" in obj:
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    out = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    out.update({k: base64.b64decode(v) for k, v in (obj.get("binaryData") or {}).items()})
    return out


def pick(data: dict[str, bytes], items: list[Object], mode: int, optional: bool) -> Payload:
    """All entries, or just `items` ({key, path, mode}) under their paths."""
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    out: Payload = {}
    for item in items:
        if item["key"] not in data:
            if optional:
                continue
            raise PayloadError(f"references non-existent config key: {item['key']}")
        path = item["path"]
        if path.startswith("/") or ".." in path.split("/"):
            raise PayloadError(f"invalid path {path!r}: must stay inside the volume")
        out[path] = (data[item["key"]], item.get("mode") or mode)
    return out
