"""A message's bytes to the JSON its Go type would be written as, driven by the table. Pure.

A field that comes twice is merged or replaced as in the original; fields that the table does not have are skipped.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from apiserver.api import errors
from apiserver.api.codec import MAX_VALUES
from apiserver.http.protobuf import table, wire
from apiserver.http.protobuf.table import Field
from apiserver.http.protobuf.wellknown import DECODERS, NUMBERS, text
from apiserver.http.protobuf.wire import MalformedError

Object = dict[str, Any]
_DEEPEST: Final = 64  # messages within messages; the API's own types reach about fifteen
_SCALARS: Final = frozenset({"bool", "int32", "int64", "string", "bytes"})


class Nesting:
    """How deep the decoder is, and how many fields it has met: few bytes can ask for a lot of work."""

    __slots__ = ("_depth", "_met")

    def __init__(self) -> None:
        self._depth = 0
        self._met = itertools.count()

    def deeper(self) -> Nesting:
        if self._depth == _DEEPEST:
            raise MalformedError("proto: exceeded the limit of nested messages")
        inner = Nesting()
        inner._depth, inner._met = self._depth + 1, self._met
        return inner

    def count(self) -> None:
        if next(self._met) == MAX_VALUES:
            raise errors.request_entity_too_large(f"more than {MAX_VALUES} values in one object")


def decode(data: bytes, message: str) -> Object:
    """Raises MalformedError, 413; KeyError if there is no such message."""
    result: Object = {}
    _into(result, data, message, Nesting())
    return result


def _into(target: Object, data: bytes, message: str, nesting: Nesting) -> None:
    known = table.messages()[message]
    for number, kind, value in wire.fields(data, message.rpartition(".")[2]):
        nesting.count()
        field = known.get(number)
        if field is not None:
            _put(target, field, kind, value, nesting)


def _put(target: Object, field: Field, kind: int, value: int | bytes, nesting: Nesting) -> None:
    match field.shape:
        case table.INLINE:
            _into(target, _bytes(field, kind, value), field.type, nesting.deeper())
        case table.LIST:
            target.setdefault(field.name, []).extend(_items(field, kind, value, nesting))
        case table.MAP:
            key, item = _entry(field, _bytes(field, kind, value), nesting)
            target.setdefault(field.name, {})[key] = item
        case _:
            _put_one(target, field, kind, value, nesting)


def _put_one(target: Object, field: Field, kind: int, value: int | bytes, nesting: Nesting) -> None:
    decoded = _value(field, kind, value, nesting, target.get(field.name))
    zero = field.shape == table.OMIT_EMPTY and field.type in _SCALARS and not decoded
    if zero or decoded is None:
        target.pop(field.name, None)
    else:
        target[field.name] = decoded


def _value(field: Field, kind: int, value: int | bytes, nesting: Nesting, before: Any = None) -> Any:
    """``before`` is what a message of the same field, already read, has brought."""
    number = NUMBERS.get(field.type)
    if number is not None:
        if kind != wire.VARINT or not isinstance(value, int):
            raise _wrong_type(field, kind)
        return number(value)
    data = _bytes(field, kind, value)
    decoder = DECODERS.get(field.type)
    if decoder is not None:
        return decoder(data)
    result: Object = before if before is not None else {}
    _into(result, data, field.type, nesting.deeper())
    return result


def _items(field: Field, kind: int, value: int | bytes, nesting: Nesting) -> list[Any]:
    """One element, or all those of a packed list."""
    number = NUMBERS.get(field.type)
    if number is None or kind != wire.BYTES or not isinstance(value, bytes):
        return [_value(field, kind, value, nesting)]
    items, at = [], 0
    while at < len(value):
        nesting.count()
        item, at = wire.varint(value, at)
        items.append(number(item))
    return items


def _entry(field: Field, data: bytes, nesting: Nesting) -> tuple[str, Any]:
    """A map's entry is a message of key (1) and value (2); what is missing is zero."""
    zero: tuple[int, int | bytes] = (wire.VARINT, 0) if field.type in NUMBERS else (wire.BYTES, b"")
    key, item = "", _value(field, *zero, nesting)
    for number, kind, value in wire.fields(data, field.name):
        if number == 1:
            key = text(_bytes(field, kind, value))
        elif number == 2:
            item = _value(field, kind, value, nesting)
    return key, item


def _bytes(field: Field, kind: int, value: int | bytes) -> bytes:
    if kind != wire.BYTES or not isinstance(value, bytes):
        raise _wrong_type(field, kind)
    return value


def _wrong_type(field: Field, kind: int) -> MalformedError:
    name = field.name[:1].upper() + field.name[1:] or field.type.rpartition(".")[2]
    return MalformedError(f"proto: wrong wireType = {kind} for field {name}")
