"""JSON encoding of stored objects.

Layout invariant: :func:`encode` writes ``kind``, ``apiVersion``, ``metadata`` first and in this order and
leaves ``metadata.resourceVersion`` out, so that :func:`splice` can insert it into the stored bytes at a
position found by scanning the first few bytes only. A version is therefore never stored and costs no parsing
to add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypedDict

import msgspec

MAX_VALUES: Final = 100_000
"""Of one object from outside. Checking and defaulting take up to 10 microseconds for each, on the event loop."""
MAX_DEPTH: Final = 128
"""Levels of one object from outside: every walk over it is recursive, some with several calls for a level."""

TOO_DEEP: Final = "exceeded max depth"
"""Go's words for a document that its decoder gives up on, which is at 10,000 levels there."""
ENCRYPTED: Final = b"k8s:enc:"
"""How values begin that are encrypted in the store; here they come only where no rule says how to read them."""
UNREADABLE: Final = "identity transformer tried to read encrypted data"
_ENCODER: Final = msgspec.json.Encoder()
_SORTED_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder()
_MARK: Final = b'"metadata":{'
_FIRST: Final = ("kind", "apiVersion", "metadata")


class DecodeError(ValueError):
    """The bytes are not one JSON value."""


class Encrypted(DecodeError):
    """A stored value is ciphertext."""

    def __init__(self) -> None:
        super().__init__(UNREADABLE)


def encode(obj: dict[str, Any]) -> bytes:
    """Bytes to store: fixed layout, no resourceVersion. ``obj`` is not changed."""
    metadata = dict(obj.get("metadata") or {})
    metadata.pop("resourceVersion", None)
    ordered = {"kind": obj.get("kind", ""), "apiVersion": obj.get("apiVersion", ""), "metadata": metadata}
    for key, value in obj.items():
        if key not in _FIRST:
            ordered[key] = value
    return _ENCODER.encode(ordered)


def dumps(value: Any) -> bytes:
    """Plain JSON, for answers that are not stored objects."""
    return _ENCODER.encode(value)


def dumps_sorted(value: Any) -> bytes:
    """JSON with the keys of every map in order: equal bytes, equal values."""
    return _SORTED_ENCODER.encode(value)


def decode(data: bytes | bytearray | memoryview | str) -> Any:
    try:
        return _DECODER.decode(data)
    except RecursionError:
        raise DecodeError(TOO_DEEP) from None
    except ValueError as exc:  # also numbers of thousands of digits
        raise DecodeError(str(exc)) from exc


def is_too_deep(value: Any) -> bool:
    """Whether a decoded document has more than `MAX_DEPTH` levels of objects and lists; counts without recursion."""
    level, depth = [value] if isinstance(value, dict | list) else [], 0
    while level and depth < MAX_DEPTH:
        level = [
            item
            for inner in level
            for item in (inner.values() if isinstance(inner, dict) else inner)
            if isinstance(item, dict | list)
        ]
        depth += 1
    return bool(level)


def count_values(value: Any) -> int:
    """How many values a decoded document is made of, keys not counted; stops soon after `MAX_VALUES`."""
    count, waiting = 1, [value]
    while waiting and count <= MAX_VALUES:
        inner = waiting.pop()
        if isinstance(inner, dict):
            inner = inner.values()
        elif not isinstance(inner, list):
            continue
        count += len(inner)
        waiting += [item for item in inner if isinstance(item, dict | list)]
    return count


def splice(data: bytes, resource_version: int | str) -> bytes:
    """Stored bytes (see :func:`encode`) with ``metadata.resourceVersion`` inserted."""
    head, item = split(data, resource_version)
    return head + item[1:]


def split(data: bytes, resource_version: int | str) -> tuple[bytes, bytes]:
    """Stored bytes as (head, item): ``{"kind":"Pod","apiVersion":"v1",``, one for all objects of a kind, and the object
    without these two and with its ``metadata.resourceVersion``, as typed lists have it. ``head + item[1:]`` is the
    whole object."""
    at = data.find(_MARK, 0, 512)
    if at < 0:
        raise _undecodable(data, DecodeError("not a stored object: no metadata at its beginning"))
    behind = at + len(_MARK)
    comma = b"" if data[behind : behind + 1] == b"}" else b","
    version = str(resource_version).encode()
    item = b'{"metadata":{"resourceVersion":"%b"%b%b' % (version, comma, data[behind:])
    return _head(data[:at]), item


@lru_cache(maxsize=1024)
def _head(head: bytes) -> bytes:
    """The same bytes for all objects of a kind."""
    return head


class _Metadata(msgspec.Struct, gc=False):
    labels: msgspec.Raw = msgspec.Raw(b"null")


class _Labelled(msgspec.Struct, gc=False):
    metadata: _Metadata


_LABELLED: Final = msgspec.json.Decoder(_Labelled)
_LABELS: Final = msgspec.json.Decoder(dict[str, str] | None)


def labels(data: bytes) -> Mapping[str, str]:
    """The labels of an object, nothing else of it parsed; one mapping for all objects that have the same."""
    try:
        return _labels(bytes(_LABELLED.decode(data).metadata.labels))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DecodeError(str(exc)) from exc


@lru_cache(maxsize=8192)
def _labels(data: bytes) -> Mapping[str, str]:
    return _LABELS.decode(data) or {}


Excerpt = Callable[[bytes], dict[str, Any]]


def excerpt(parts: Mapping[str, tuple[str, ...]]) -> Excerpt:
    """A decoder that makes nothing but these fields of these parts (``{"spec": ("nodeName",)}``), as far as they are
    there: a third of the time that a whole pod takes, and hardly any garbage."""
    fields = {part: _typed(part, dict.fromkeys(names, Any)) | None for part, names in parts.items()}
    decoder = msgspec.json.Decoder(_typed("Excerpt", fields))

    def read(data: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = decoder.decode(data)
        except ValueError:  # a part is no map, or it is no JSON
            found = decode(data)
        return found

    return read


def _typed(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields, total=False)  # type: ignore[operator]  # made at run time


def decode_stored(data: bytes, resource_version: int | str) -> dict[str, Any]:
    """The object of stored bytes, its resourceVersion set."""
    try:
        obj: dict[str, Any] = decode(data)
    except DecodeError as exc:
        raise _undecodable(data, exc) from exc
    obj.setdefault("metadata", {})["resourceVersion"] = str(resource_version)
    return obj


def _undecodable(data: bytes, otherwise: DecodeError) -> DecodeError:
    return Encrypted() if data.startswith(ENCRYPTED) else otherwise
