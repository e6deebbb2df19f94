"""JSON encoding of stored objects.

Layout invariant: :func:`encode` writes ``kind``, ``apiVersion``, ``metadata`` first and in this order and
leaves ``metadata.resourceVersion`` out, so that :func:`splice` can insert it into the stored bytes at a
position found by scanning the first few bytes only. A version is therefore never stored and costs no parsing
to add.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MAX_VALUES: Final = 100_000
"""Of one object from outside. Checking and defaulting take up to 10 microseconds for each, on the event loop."""
MAX_DEPTH: Final = 128
"""Of lists and objects within one another. Go's decoder takes 10,000; Python's stack does not."""

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_MARK: Final = b'"metadata":{'
_FIRST: Final = ("kind", "apiVersion", "metadata")


class DecodeError(ValueError):
    """The bytes are not one JSON value."""


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


def decode(data: bytes | bytearray | memoryview | str) -> Any:
    try:
        return _DECODER.decode(data)
    except (
        ValueError,
        RecursionError,
    ) as exc:  # numbers of thousands of digits, a document nested too deeply
        raise DecodeError(str(exc)) from exc


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


def too_deep(value: Any) -> bool:
    """Whether a decoded document is nested more deeply than `MAX_DEPTH`."""
    depth, level = 0, [value] if isinstance(value, dict | list) else []
    while level and depth <= MAX_DEPTH:
        depth += 1
        held = [item for inner in level for item in (inner.values() if isinstance(inner, dict) else inner)]
        level = [item for item in held if isinstance(item, dict | list)]
    return depth > MAX_DEPTH


def splice(data: bytes, resource_version: int | str) -> bytes:
    """Stored bytes (see :func:`encode`) with ``metadata.resourceVersion`` inserted."""
    at = data.find(_MARK, 0, 512)
    if at < 0:
        raise DecodeError("not a stored object: no metadata at its beginning")
    at += len(_MARK)
    comma = b"" if data[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%b"%b%b' % (data[:at], str(resource_version).encode(), comma, data[at:])


def decode_stored(data: bytes, resource_version: int | str) -> dict[str, Any]:
    """The object of stored bytes, its resourceVersion set."""
    obj: dict[str, Any] = decode(data)
    obj.setdefault("metadata", {})["resourceVersion"] = str(resource_version)
    return obj
