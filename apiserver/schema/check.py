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

from apiserver.api import errors, go_json
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
_GO_KINDS: Final = {bool: "bool", int: "int64", float: "float64", str: "string", list: "slice"}
TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
"""A string of a JSON document, quotes included."""
_NAMED: Final = re.compile(rb'"[ \t\n\r]*:')
"""The end of a field's name; seldom it is text inside of a string."""
_LIMITS: Final = {"int32": 2**31, "int64": 2**63}


class _Mismatch(Exception):
    """A value that does not fit; the message is the decoder's. ``converted``: what Go's converter from maps says."""

    def __init__(self, message: str, converted: str = "") -> None:
        super().__init__(message)
        self.converted = converted or message


class _Walk:
    """One check of one object: collects the paths of unknown fields while it copies."""

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
            case Kind.SCHEMA_OR:
                return self._schema_or(api_type, value, path, place)
        return _scalar(api_type, value, place)

    def _struct(self, api_type: ApiType, value: Any, path: str, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(value, place, api_type)
        result: dict[str, Any] = {}
        trail = place.partition(".")[2]
        for name, item in value.items():
            known = api_type.fields.get(name)
            if known is None:
                self.unknown.append(f"{path}.{name}" if path else name)
                continue
            if item is None:
                if roundtrip.keeps_null(api_type.name, name):
                    result[name] = None
                continue
            checked = item
            if known.type.kind is not Kind.STRING or not isinstance(
                item, str
            ):  # most are; they need no paths
                inner = f"{api_type.name}.{trail}.{name}" if trail else f"{api_type.name}.{name}"
                checked = self.value(known.type, item, f"{path}.{name}" if path else name, inner)
            if not _omitted(api_type, name, known, checked):
                result[name] = checked
        return roundtrip.complete(api_type, result)

    def _schema_or(self, api_type: ApiType, value: Any, path: str, place: str) -> Any:
        """As the three unions of a JSON schema and something else are decoded."""
        assert api_type.item is not None
        if isinstance(value, dict):
            return self.value(api_type.item, value, path, api_type.item.name)
        if api_type.name == "JSONSchemaPropsOrBool":
            if not isinstance(value, bool):
                raise _Mismatch("boolean or JSON schema expected")
            return value
        if not isinstance(value, list):
            raise _mismatch(value, place, api_type)
        if api_type.name == "JSONSchemaPropsOrStringArray":
            return value
        return [self.value(api_type.item, item, f"{path}[{at}]", place) for at, item in enumerate(value)]

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
    if value or value is None:
        return False
    if name in owner.required:
        return False
    return not roundtrip.keeps_zero(owner.name, name, known.type)


def _mismatch(value: Any, place: str, api_type: ApiType) -> _Mismatch:
    target = f"Go struct field {place}" if "." in place else "Go value"
    text = f"json: cannot unmarshal {go_json.kind(value)} into {target} of type {api_type.go_name()}"
    return _Mismatch(text, _unconverted(value, api_type))


def _unconverted(value: Any, api_type: ApiType) -> str:
    """As ``runtime.DefaultUnstructuredConverter`` refuses it."""
    found = _GO_KINDS.get(type(value), "map")
    match api_type.kind:
        case Kind.STRUCT:
            return f"cannot restore struct from: {found}"
        case Kind.MAP:
            return f"cannot restore map from {found}"
        case Kind.LIST | Kind.BYTES:
            return f"cannot restore slice from {found}"
        case Kind.STRING | Kind.BOOLEAN | Kind.INTEGER | Kind.NUMBER:
            return f"unrecognized type: {api_type.name}"
    return ""


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


def _unfit(gvk: GroupVersionKind, reason: str) -> errors.StatusError:
    text = f"{gvk.kind} in version {quote(gvk.version)} cannot be handled as a {gvk.kind}: {reason}"
    return errors.bad_request(text)


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


def complaints(unknown: list[str], raw: bytes | None) -> list[str]:
    """What is told of a body: keys given twice, if its JSON is known, and the paths that are unknown."""
    repeated = duplicate_fields(raw) if raw is not None else []
    return repeated + [f"unknown field {quote(path)}" for path in unknown]


def repeats_fields(value: Any, raw: bytes) -> bool:
    """Whether the text has more fields than what was decoded from it: many times faster than looking for them."""
    pairs = _count_pairs(value)
    return len(_NAMED.findall(raw)) != pairs and TEXT.sub(b"", raw).count(b":") != pairs


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
    def check_part(
        self, gvk: GroupVersionKind, api_type: ApiType, value: Any, place: str
    ) -> tuple[dict[str, Any], list[str]]:
        """A part of an object: (normalised, paths of unknown fields inside it). Raises StatusError (400)."""
        walk = _Walk()
        try:
            result = walk.value(api_type, value, "", place)
        except _Mismatch as exc:
            raise _unfit(gvk, str(exc)) from None
        return result, walk.unknown

    def check(
        self,
        gvk: GroupVersionKind,
        api_type: ApiType,
        obj: dict[str, Any],
        raw: bytes | None,
        *,
        converting: bool = False,
    ) -> tuple[dict[str, Any], list[str]]:
        walk = _Walk()
        try:
            result = walk.value(api_type, obj, "", api_type.name)
        except _Mismatch as exc:
            raise _unfit(gvk, exc.converted if converting else str(exc)) from None
        return result, complaints(walk.unknown, raw)
