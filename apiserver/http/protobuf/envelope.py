"""A protobuf request body: the four bytes ``k8s\\x00``, then a ``runtime.Unknown`` that names the kind and holds the
object's own message. Pure; :mod:`apiserver.http.body` calls it in place of the JSON decoder. As in the original's
``runtime/serializer/protobuf``, kind and version that are not named are the expected ones.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import errors
from apiserver.api.gvk import GroupVersion, GroupVersionKind
from apiserver.http.protobuf import message, table, wire
from apiserver.http.protobuf.wellknown import text
from apiserver.http.protobuf.wire import MalformedError

MAGIC: Final = b"k8s\x00"
_SHOWN: Final = 30
_TYPE_META, _RAW = 1, 2
_ENVELOPE: Final = {_TYPE_META: "TypeMeta", _RAW: "Raw"}
_TYPE_META_FIELDS: Final = {1: "APIVersion", 2: "Kind"}


class BodyError(MalformedError):
    """``kind`` is what the envelope names, None if it did not get so far."""

    def __init__(self, message: str, kind: GroupVersionKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


def decode(data: bytes, expected: GroupVersionKind) -> dict[str, Any]:
    """As :func:`parse`; what is wrong is told as of an object to be stored. Raises 400 and 415."""
    try:
        return parse(data, expected)
    except BodyError as exc:
        if exc.kind is None:
            reason = f"the object provided is unrecognized (must be of type {expected.kind}): {exc} ({_shown(data)})"
        else:
            found = f'{exc.kind.kind} in version "{exc.kind.version}"'
            reason = f"{found} cannot be handled as a {expected.kind}: {exc}"
        raise errors.bad_request(reason) from exc


def parse(data: bytes, expected: GroupVersionKind) -> dict[str, Any]:
    """The object with the kind and apiVersion of its envelope.

    Raises BodyError, and 415 if the expected kind has no protobuf form.
    """
    try:
        api_version, kind, raw = _open(data)
        gvk = _kind(api_version, kind, expected)
    except ValueError as exc:  # MalformedError, or an apiVersion of several slashes
        raise BodyError(str(exc)) from exc
    name = table.message_of(gvk)
    if name is None and gvk == expected:
        raise errors.unsupported_media_type(("application/json", "application/yaml"))
    if name is None:
        shown = f'no kind "{gvk.kind}" is registered for version "{gvk.group_version}" in scheme "kubernetes"'
        raise BodyError(shown, gvk)
    try:
        decoded = message.decode(raw, name)
    except MalformedError as exc:
        raise BodyError(str(exc), gvk) from exc
    return {"kind": gvk.kind, "apiVersion": gvk.group_version, **decoded}


def _open(data: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, the object's message)."""
    if not data:
        raise MalformedError("empty data")
    if not data.startswith(MAGIC):
        shown = " ".join(str(byte) for byte in MAGIC)
        raise MalformedError(
            f"provided data does not appear to be a protobuf message, expected prefix [{shown}]"
        )
    if data == MAGIC:
        raise MalformedError("empty body")
    parts = _strings(data[len(MAGIC) :], "Unknown", _ENVELOPE)
    meta = _strings(parts.get(_TYPE_META, b""), "TypeMeta", _TYPE_META_FIELDS)
    return text(meta.get(1, b"")), text(meta.get(2, b"")), parts.get(_RAW, b"")


def _strings(data: bytes, name: str, wanted: dict[int, str]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for number, kind, value in wire.fields(data, name):
        if number in wanted:
            if kind != wire.BYTES or not isinstance(value, bytes):
                raise MalformedError(f"proto: wrong wireType = {kind} for field {wanted[number]}")
            found[number] = value
    return found


def _kind(api_version: str, kind: str, expected: GroupVersionKind) -> GroupVersionKind:
    version = (
        GroupVersion.parse(api_version) if api_version else GroupVersion(expected.group, expected.version)
    )
    return GroupVersionKind(version.group, version.version, kind or expected.kind)


def _shown(data: bytes) -> str:
    """The first bytes: as text if they may be JSON, else as hexadecimal digits."""
    if not data:
        return "<empty>"
    head = data[:_SHOWN]
    return (text(head) if data[:1] == b"{" else head.hex()) + (" ..." if len(data) > _SHOWN else "")
