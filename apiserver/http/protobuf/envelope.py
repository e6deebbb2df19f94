"""A protobuf request body: the four bytes ``k8s\\x00``, then a ``runtime.Unknown`` that names the kind and holds the
object's own message. Pure; :mod:`apiserver.http.body` calls it in place of the JSON decoder. As in the original's
``runtime/serializer/protobuf``, kind and version that are not named are the expected ones.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersion, GroupVersionKind
from apiserver.http.protobuf import message, table, wire
from apiserver.http.protobuf.wellknown import text
from apiserver.http.protobuf.wire import MalformedError

MAGIC: Final = b"k8s\x00"
_SHOWN: Final = 30
_TYPE_META, _RAW = 1, 2
_ENVELOPE: Final = {_TYPE_META: "TypeMeta", _RAW: "Raw"}
_TYPE_META_FIELDS: Final = {1: "APIVersion", 2: "Kind"}


def decode(data: bytes, expected: GroupVersionKind) -> dict[str, Any]:
    """The object with the kind and apiVersion of its envelope. Raises 400, and 415 for kinds without protobuf form."""
    try:
        api_version, kind, raw = _open(data)
        gvk = _kind(api_version, kind, expected)
    except ValueError as exc:  # MalformedError, or an apiVersion of several slashes
        raise _unrecognised(expected, exc, data) from exc
    name = table.message_of(gvk)
    if name is None and gvk == expected:
        raise errors.unsupported_media_type(("application/json", "application/yaml"))
    if name is None:
        shown = f'no kind "{gvk.kind}" is registered for version "{gvk.group_version}" in scheme "kubernetes"'
        raise _unfit(gvk, expected, shown)
    try:
        decoded = message.decode(raw, name)
    except MalformedError as exc:
        raise _unfit(gvk, expected, str(exc)) from exc
    return {"kind": gvk.kind, "apiVersion": str(gvk.group_version), **decoded}


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


def _unfit(found: GroupVersionKind, expected: GroupVersionKind, reason: str) -> StatusError:
    return errors.bad_request(
        f'{found.kind} in version "{found.version}" cannot be handled as a {expected.kind}: {reason}'
    )


def _unrecognised(expected: GroupVersionKind, reason: Exception, data: bytes) -> StatusError:
    shown = data[:_SHOWN].hex() + (" ..." if len(data) > _SHOWN else "") if data else "<empty>"
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {expected.kind}): {reason} ({shown})"
    )
