"""Writes protobuf bytes: by hand, field by field, and from JSON by the table, to test the decoder against."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from apiserver.http.protobuf import table


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def num(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def msg(number: int, *parts: bytes | str) -> bytes:
    data = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(number << 3 | 2) + varint(len(data)) + data


def unknown(api_version: str, kind: str, *parts: bytes) -> bytes:
    """A whole request body."""
    return b"k8s\x00" + msg(1, msg(1, api_version), msg(2, kind)) + msg(2, *parts) + msg(3, "") + msg(4, "")


def message(obj: dict[str, Any], name: str) -> bytes:
    """The object as bytes of the named message; the fields of inline messages come from the object itself."""
    return b"".join(_field(number, field, obj) for number, field in table.messages()[name].items())


def _field(number: int, field: table.Field, obj: dict[str, Any]) -> bytes:
    if field.shape == table.INLINE:
        return msg(number, message(obj, field.type))
    if field.name not in obj:
        return b""
    value = obj[field.name]
    if field.shape == table.LIST:
        return b"".join(_one(number, field.type, item) for item in value)
    if field.shape == table.MAP:
        return b"".join(msg(number, msg(1, key), _one(2, field.type, item)) for key, item in value.items())
    return _one(number, field.type, value)


def _one(number: int, kind: str, value: Any) -> bytes:
    match kind:
        case "bool" | "int32" | "int64":
            return num(number, int(value))
        case "string":
            return msg(number, value)
        case "bytes":
            return msg(number, base64.b64decode(value))
        case "quantity":
            return msg(number, msg(1, value))
        case "time" | "microTime":
            moment = datetime.fromisoformat(value)
            return msg(number, num(1, int(moment.timestamp())), num(2, moment.microsecond * 1000))
        case "intOrString":
            text = isinstance(value, str)
            return msg(number, num(1, text), num(2, 0 if text else value), msg(3, value if text else ""))
        case "raw":
            return msg(number, msg(1, json.dumps(value)))
        case "strings":
            return msg(number, *(msg(1, item) for item in value))
    return msg(number, message(value, kind))
