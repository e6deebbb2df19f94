"""(P) JSON to protobuf messages and back, by the rules of grpc-gateway (https://protobuf.dev/programming-guides/json).

64-bit integers are strings on the way out and strings or numbers on the way in; bytes are base64; enums are names
or numbers. Unknown fields are ignored, as in etcd; everything else that does not fit is a `ValueError`. Own code
for reading, because protobuf's lets broken base64 pass as other bytes. Used by `gateway`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
Kind = FieldDescriptor

INT64 = (-(1 << 63), (1 << 63) - 1)
UINT64 = (0, (1 << 64) - 1)
INT32 = (-(1 << 31), (1 << 31) - 1)
UINT32 = (0, (1 << 32) - 1)
_INTEGER = re.compile(r"-?\d{1,20}")
_SPACE = re.compile(r"[ \t\r\n]*")


def to_json(message: Message) -> str:
    """Compact, in the order of the field numbers, without fields at their default."""
    document = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def parse(document: object, into: M) -> M:
    """Fills `into`. Raises `ValueError` naming the field."""
    if document is None:
        return into
    if not isinstance(document, dict):
        raise ValueError(f"{into.DESCRIPTOR.full_name} must be a JSON object")
    fields = into.DESCRIPTOR.fields_by_name
    by_json_name = into.DESCRIPTOR.fields_by_camelcase_name
    seen: dict[str, str] = {}
    for key, value in document.items():
        field = fields.get(key) or by_json_name.get(key)
        if field is None or value is None:
            continue
        oneof = field.containing_oneof
        if oneof is not None and seen.setdefault(oneof.name, field.name) != field.name:
            raise ValueError(f"{key}: another field of {oneof.name} is already set")
        try:
            _set(into, field, value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return into


def _set(into: Message, field: Any, value: Any) -> None:
    if not field.is_repeated:
        if field.type == Kind.TYPE_MESSAGE:
            target = getattr(into, field.name)
            target.SetInParent()
            parse(value, target)
        else:
            setattr(into, field.name, _scalar(field, value))
        return
    if not isinstance(value, list):
        raise ValueError("must be a JSON array")
    items = getattr(into, field.name)
    for item in value:
        if field.type == Kind.TYPE_MESSAGE:
            parse(item, items.add())
        else:
            items.append(_scalar(field, item))


def _scalar(field: Any, value: Any) -> Any:
    if field.type == Kind.TYPE_ENUM:
        return _enum(field, value)
    return SCALARS[field.type](value)


def _enum(field: Any, value: Any) -> int:
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        found = field.enum_type.values_by_name.get(value)
        if found is None:
            raise ValueError(f'unknown value "{value}" for enum {field.enum_type.full_name}')
        return int(found.number)
    return _integer(INT32)(value)


def _integer(bounds: tuple[int, int]) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, str):
            whole = _INTEGER.fullmatch(value) is not None
        else:
            whole = not isinstance(value, bool) and isinstance(value, int | float) and value == value // 1
        if not whole:
            raise ValueError("must be an integer, or a string of one")
        number = int(value)
        if not bounds[0] <= number <= bounds[1]:
            raise ValueError(f"{number} is out of range")
        return number

    return convert


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is not valid Unicode") from error
    return value


def _bytes(value: Any) -> bytes:
    """Standard or URL-safe alphabet, with or without padding."""
    if not isinstance(value, str):
        raise ValueError("must be a string of base64")
    text = value.translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not valid base64") from error


URL_SAFE = str.maketrans("-_", "+/")
SCALARS: dict[int, Callable[[Any], Any]] = {
    Kind.TYPE_INT64: _integer(INT64),
    Kind.TYPE_UINT64: _integer(UINT64),
    Kind.TYPE_INT32: _integer(INT32),
    Kind.TYPE_UINT32: _integer(UINT32),
    Kind.TYPE_BOOL: _boolean,
    Kind.TYPE_STRING: _string,
    Kind.TYPE_BYTES: _bytes,
}


class Documents:
    """A stream of JSON values one after the other, fed in pieces as they arrive."""

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)
        self._pending = b""

    def feed(self, data: bytes, *, end: bool = False) -> list[Any]:
        """The values that are complete. At the end, anything left is a `ValueError`."""
        self._pending += data
        found: list[Any] = []
        try:
            text = self._pending.decode()
        except UnicodeDecodeError as error:
            if end:
                raise ValueError("invalid UTF-8") from error
            return found
        at = _skip_space(text, 0)
        while at < len(text):
            try:
                value, at = self._decoder.raw_decode(text, at)
            except RecursionError as error:
                raise ValueError("nested too deeply") from error
            except ValueError as error:
                if end:
                    raise ValueError(_reason(error)) from error
                break
            found.append(value)
            at = _skip_space(text, at)
        self._pending = text[at:].encode()
        return found


def first(data: bytes) -> Any:
    """The first value of a body; None for an empty one. What follows it is ignored, as grpc-gateway does."""
    try:
        text = data.decode()
        at = _skip_space(text, 0)
        if at == len(text):
            return None
        return json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, at)[0]
    except UnicodeDecodeError as error:
        raise ValueError("invalid UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(_reason(error)) from error


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(error.doc.rstrip()):
            return "unexpected EOF"
        return f"invalid character {error.doc[error.pos]!r} at byte {error.pos}: {error.msg}"
    return str(error)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
