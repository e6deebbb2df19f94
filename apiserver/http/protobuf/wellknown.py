"""Scalars, and the types whose JSON is not that of their protobuf fields: quantities, times, raw JSON. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apiserver.api import codec
from apiserver.api.meta import format_micro_time, format_time
from apiserver.api.quantity import QuantityError, canonical
from apiserver.http.protobuf import wire
from apiserver.http.protobuf.wire import MalformedError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


def text(data: bytes) -> str:
    """Each byte that is not UTF-8 becomes U+FFFD, as in Go's JSON."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _ESCAPED.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


def _parts(data: bytes, message: str, kinds: dict[int, tuple[str, int]]) -> dict[int, Any]:
    """The last value of each field of a small message; ``kinds``: number to (Go name, wire type)."""
    found: dict[int, Any] = {}
    for number, kind, value in wire.fields(data, message):
        if number in kinds:
            name, wanted = kinds[number]
            if kind != wanted:
                raise MalformedError(f"proto: wrong wireType = {kind} for field {name}")
            found[number] = value
    return found


def _quantity(data: bytes) -> str:
    found = _parts(data, "Quantity", {1: ("String_", wire.BYTES)})
    try:
        return canonical(text(found[1])) if 1 in found else "0"
    except QuantityError as exc:
        raise MalformedError(str(exc)) from exc


def _moment(data: bytes) -> tuple[datetime, int] | None:
    """(whole seconds, nanoseconds); None for Go's zero time."""
    if not data:
        return None
    found = _parts(data, "Timestamp", {1: ("Seconds", wire.VARINT), 2: ("Nanos", wire.VARINT)})
    seconds = wire.signed(found.get(1, 0), 64)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError as exc:
        raise MalformedError("Time.MarshalJSON: year outside of range [0,9999]") from exc
    return moment, wire.signed(found.get(2, 0), 32)


def _time(data: bytes) -> str | None:
    found = _moment(data)
    return None if found is None or found[0] == _ZERO_TIME else format_time(found[0])


def _micro_time(data: bytes) -> str | None:
    found = _moment(data)
    if found is None:
        return None
    try:
        moment = found[0] + timedelta(microseconds=int(found[1] / 1000))
    except OverflowError as exc:
        raise MalformedError("Time.MarshalJSON: year outside of range [0,9999]") from exc
    return None if moment == _ZERO_TIME else format_micro_time(moment)


def _int_or_string(data: bytes) -> int | str:
    kinds = {1: ("Type", wire.VARINT), 2: ("IntVal", wire.VARINT), 3: ("StrVal", wire.BYTES)}
    found = _parts(data, "IntOrString", kinds)
    match wire.signed(found.get(1, 0), 64):
        case 0:
            return wire.signed(found.get(2, 0), 32)
        case 1:
            return text(found.get(3, b""))
    raise MalformedError("impossible IntOrString.Type")


def _raw(data: bytes) -> Any:
    """Embedded JSON: ``RawExtension`` and ``FieldsV1``."""
    found = _parts(data, "RawExtension", {1: ("Raw", wire.BYTES)})
    try:
        return codec.decode(found[1]) if found.get(1) else None
    except (codec.DecodeError, RecursionError) as exc:
        raise MalformedError(f"raw value is not JSON: {exc}") from exc


def _strings(data: bytes) -> list[str]:
    """A list that Go has as a type of its own, for protobuf a message: ``ExtraValue``, ``Verbs``."""
    items: list[str] = []
    for number, kind, value in wire.fields(data, "ExtraValue"):
        if number == 1:
            if kind != wire.BYTES or not isinstance(value, bytes):
                raise MalformedError(f"proto: wrong wireType = {kind} for field Items")
            items.append(text(value))
    return items


NUMBERS: Final[dict[str, Callable[[int], Any]]] = {
    "bool": bool,
    "int32": lambda value: wire.signed(value, 32),
    "int64": lambda value: wire.signed(value, 64),
}
DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "string": text,
    "bytes": lambda data: base64.b64encode(data).decode(),
    "quantity": _quantity,
    "time": _time,
    "microTime": _micro_time,
    "intOrString": _int_or_string,
    "raw": _raw,
    "strings": _strings,
}
