"""An object's JSON form to the bytes of its message, driven by the table: the way back of :mod:`.message`. Pure.

What the JSON has is written, zero or not; what it has not is zero to the reader. Fields the table does not have are
left out. :mod:`apiserver.http.media` calls this for clients that accept nothing but protobuf.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from apiserver.api import codec
from apiserver.api.gvk import GroupVersion, GroupVersionKind
from apiserver.api.meta import parse_time
from apiserver.http.protobuf import table
from apiserver.http.protobuf.envelope import MAGIC
from apiserver.http.protobuf.table import Field

Object = dict[str, Any]
_WORD: Final = (1 << 64) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NoMessage(ValueError):
    """The kind has no protobuf form."""


def envelope(obj: Object) -> bytes:
    """The object as a whole body: magic bytes, kind and message. Raises NoMessage."""
    api_version, kind = obj.get("apiVersion") or "v1", obj.get("kind") or ""
    version = GroupVersion.parse(api_version)
    name = table.message_of(GroupVersionKind(version.group, version.version, kind))
    if name is None:  # kinds of meta.k8s.io/v1 belong to every group
        name = f"meta.v1.{kind}"
    if name not in table.messages():
        raise NoMessage(
            f"object {api_version}, Kind={kind} does not implement the protobuf marshalling interface and "
            "cannot be encoded to a protobuf message"
        )
    meta = field(1, api_version.encode()) + field(2, kind.encode())
    return MAGIC + field(1, meta) + field(2, message(obj, name)) + field(3, b"") + field(4, b"")


def watch_frame(kind: str, obj: Object) -> bytes:
    """A watch event with its length before it."""
    raw = field(1, envelope(obj))
    data = field(1, kind.encode()) + field(2, raw)
    return len(data).to_bytes(4, "big") + data


def message(obj: Object, name: str) -> bytes:
    """The object as bytes of the named message; the fields of inline messages come from the object itself."""
    return b"".join(_field(number, known, obj) for number, known in table.messages()[name].items())


def _field(number: int, known: Field, obj: Object) -> bytes:
    if known.shape == table.INLINE:
        return field(number, message(obj, known.type))
    value = obj.get(known.name)
    if value is None:
        return b""
    if known.shape == table.LIST:
        return b"".join(_one(number, known.type, item) for item in value)
    if known.shape == table.MAP:
        entries = (field(1, key.encode()) + _one(2, known.type, item) for key, item in value.items())
        return b"".join(field(number, entry) for entry in entries)
    return _one(number, known.type, value)


def _one(number: int, kind: str, value: Any) -> bytes:
    if kind in ("bool", "int32", "int64"):
        return _number(number, int(value))
    encoder = _ENCODERS.get(kind)
    return field(number, encoder(value) if encoder is not None else message(value or {}, kind))


def field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & _WORD)


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _moment(text: str) -> bytes:
    since = parse_time(text) - _EPOCH
    return _number(1, since.days * 86400 + since.seconds) + _number(2, since.microseconds * 1000)


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, int):
        return _number(1, 0) + _number(2, value) + field(3, b"")
    return _number(1, 1) + _number(2, 0) + field(3, value.encode())


_ENCODERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "string": lambda value: str(value).encode(),
    "bytes": base64.b64decode,
    "quantity": lambda value: field(1, str(value).encode()),
    "time": _moment,
    "microTime": _moment,
    "intOrString": _int_or_string,
    "raw": lambda value: field(1, codec.dumps(value)),
    "strings": lambda value: b"".join(field(1, item.encode()) for item in value),
}
