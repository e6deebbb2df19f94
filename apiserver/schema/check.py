"""Decode objects the way the original's Go structs do: prune, complain, normalise.

Called with every request body. What a Go round trip changes is done here: unknown fields go, field names
are matched case-sensitively, null is absence, quantities and times become canonical, and zero values that
Go would not write again (:mod:`apiserver.schema.roundtrip`) are dropped.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from apiserver.api import errors
from apiserver.api.field_errors import quote
from apiserver.api.gvk import GroupVersionKind
from apiserver.api.meta import format_micro_time, format_time
from apiserver.api.quantity import QuantityError, canonical
from apiserver.schema import roundtrip
from apiserver.schema.types import ApiType, Field, Kind

_GO_LAYOUT: Final = {
    Kind.TIME: "2006-01-02T15:04:05Z07:00",
    Kind.MICRO_TIME: "2006-01-02T15:04:05.000000Z07:00",
}
TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
"""A string of a JSON document, quotes included."""
_LIMITS: Final = {"int32": 2**31, "int64": 2**63}


class _Mismatch(Exception):
    """A value that does not fit; the message is the decoder's."""


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class _Walk:
    """One check of one object: collects complaints while it copies."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def value(self, api_type: ApiType, value: Any, path: str, place: str) -> Any:
        """``path`` has indexes, for complaints; ``place`` is ``Struct.path.without.indexes`` for type
        errors.
        """
        match api_type.kind:
            case Kind.STRUCT:
                return self._struct(api_type, value, path, place)
            case Kind.LIST:
                return self._list(api_type, value, path, place)
            case Kind.MAP:
                return self._map(api_type, value, path, place)
            case Kind.ANY:
                return value
        return _scalar(api_type, value, place)

    def _struct(self, api_type: ApiType, value: Any, path: str, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(value, place, api_type)
        result: dict[str, Any] = {}
        trail = place.partition(".")[2]
        for name, item in value.items():
            known = api_type.fields.get(name)
            where = f"{path}.{name}" if path else name
            if known is None:
                self.unknown.append(f"unknown field {quote(where)}")
                continue
            if item is None:
                if roundtrip.keeps_null(api_type.name, name):
                    result[name] = None
                continue
            inner = f"{api_type.name}.{trail}.{name}" if trail else f"{api_type.name}.{name}"
            checked = self.value(known.type, item, where, inner)
            if not _omitted(api_type, name, known, checked):
                result[name] = checked
        return roundtrip.complete(api_type, result)

    def _list(self, api_type: ApiType, value: Any, path: str, place: str) -> list[Any]:
        if not isinstance(value, list) or api_type.item is None:
            raise _mismatch(value, place, api_type)
        item_type = api_type.item
        return [
            self.value(item_type, roundtrip.zero(item_type) if item is None else item, f"{path}[{at}]", place)
            for at, item in enumerate(value)
        ]

    def _map(self, api_type: ApiType, value: Any, path: str, place: str) -> dict[str, Any]:
        if not isinstance(value, dict) or api_type.item is None:
            raise _mismatch(value, place, api_type)
        item_type = api_type.item
        return {
            key: self.value(
                item_type, roundtrip.zero(item_type) if item is None else item, f"{path}.{key}", place
            )
            for key, item in value.items()
        }


def _omitted(owner: ApiType, name: str, known: Field, value: Any) -> bool:
    """Go's omitempty: empty strings, lists and maps, false and 0 are not written, unless behind a pointer."""
    if value not in ("", False, 0) and value != [] and value != {}:
        return False
    if name in owner.required:
        return False
    return not roundtrip.keeps_zero(owner.name, name, known.type)


def _mismatch(value: Any, place: str, api_type: ApiType) -> _Mismatch:
    target = f"Go struct field {place}" if "." in place else "Go value"
    return _Mismatch(f"json: cannot unmarshal {_json_kind(value)} into {target} of type {api_type.go_name()}")


def _integer(api_type: ApiType, value: Any, place: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        target = f"Go struct field {place} of type {api_type.name}"
        raise _Mismatch(f"json: cannot unmarshal number {value} into {target}")
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch(value, place, api_type)
    limit = _LIMITS.get(api_type.name, 2**63)
    if not -limit <= value < limit:
        target = f"Go struct field {place} of type {api_type.name}"
        raise _Mismatch(f"json: cannot unmarshal number {value} into {target}")
    return value


def _time(kind: Kind, value: Any, place: str, api_type: ApiType) -> str | None:
    if not isinstance(value, str):
        raise _mismatch(value, place, api_type)
    if value == "":
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None or value[10:11] != "T":
            raise ValueError(value)
    except ValueError:
        layout = _GO_LAYOUT[kind]
        text = (
            f"parsing time {quote(value)} as {quote(layout)}: cannot parse {quote(value)} as {quote('2006')}"
        )
        raise _Mismatch(text) from None
    return format_time(parsed) if kind is Kind.TIME else format_micro_time(parsed.astimezone(UTC))


def _bytes(value: Any, place: str, api_type: ApiType) -> str:
    if not isinstance(value, str):
        raise _mismatch(value, place, api_type)
    compact = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise _Mismatch(f"illegal base64 data at input byte {_first_bad(compact)}") from None
    return compact


def _first_bad(text: str) -> int:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for at, char in enumerate(text):
        if char not in alphabet:
            return at
    return len(text) - len(text) % 4 if len(text) % 4 else len(text)


def _scalar(api_type: ApiType, value: Any, place: str) -> Any:
    match api_type.kind:
        case Kind.STRING if isinstance(value, str):
            return value
        case Kind.BOOLEAN if isinstance(value, bool):
            return value
        case Kind.INTEGER:
            return _integer(api_type, value, place)
        case Kind.NUMBER if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        case Kind.QUANTITY:
            return _quantity(value)
        case Kind.TIME | Kind.MICRO_TIME:
            return _time(api_type.kind, value, place, api_type)
        case Kind.BYTES:
            return _bytes(value, place, api_type)
        case Kind.INT_OR_STRING if isinstance(value, int | str) and not isinstance(value, bool):
            return value
    raise _mismatch(value, place, api_type)


def _quantity(value: Any) -> str:
    try:
        return canonical(value)
    except QuantityError as exc:
        raise _Mismatch(str(exc)) from None


class _Pairs(dict[str, Any]):
    """A JSON object that remembers which of its keys came more than once."""

    repeated: tuple[str, ...] = ()


def _pairs(items: list[tuple[str, Any]]) -> _Pairs:
    result, repeated = _Pairs(), []
    for key, value in items:
        if key in result and key not in repeated:
            repeated.append(key)
        result[key] = value
    result.repeated = tuple(repeated)
    return result


def duplicate_fields(raw: bytes) -> list[str]:
    """``duplicate field "metadata.name"`` for every key given twice, in the order of the document."""
    found: list[str] = []

    def visit(value: Any, path: str) -> None:
        if isinstance(value, _Pairs):
            for key, item in value.items():
                where = f"{path}.{key}" if path else key
                if key in value.repeated:
                    found.append(f"duplicate field {quote(where)}")
                visit(item, where)
        elif isinstance(value, list):
            for at, item in enumerate(value):
                visit(item, f"{path}[{at}]")

    visit(json.loads(raw, object_pairs_hook=_pairs), "")
    return found


def repeats_fields(value: Any, raw: bytes) -> bool:
    """Whether the text has more fields than what was decoded from it: many times faster than looking for them."""
    return TEXT.sub(b"", raw).count(b":") != _count_pairs(value)


def _count_pairs(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            count += len(inner)
            inner = inner.values()
        waiting += [item for item in inner if isinstance(item, dict | list)]
    return count


class Checker:
    def check(
        self, gvk: GroupVersionKind, api_type: ApiType, obj: dict[str, Any], raw: bytes | None
    ) -> tuple[dict[str, Any], list[str]]:
        walk = _Walk()
        try:
            result = walk.value(api_type, obj, "", api_type.name)
        except _Mismatch as exc:
            text = f"{gvk.kind} in version {quote(gvk.version)} cannot be handled as a {gvk.kind}: {exc}"
            raise errors.bad_request(text) from None
        duplicates = duplicate_fields(raw) if raw is not None else []
        return result, duplicates + walk.unknown
