"""Reads a request's body and makes an object of it: size limit, media type, decoding, kind check, field validation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from aiohttp import web

from apiserver.api import codec, errors, go_json
from apiserver.api.gvk import GroupVersion, GroupVersionKind
from apiserver.http import cbor, negotiation, options, yaml
from apiserver.http.protobuf import envelope
from apiserver.http.scope import Exchange, Object
from apiserver.schema.check import TEXT, repeats_fields

T = TypeVar("T")
LIMIT: Final = 3 * 1024 * 1024
_LARGE: Final = 1 << 16
_HEADER_TYPE: Final = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)


async def read(exchange: Exchange) -> bytes:
    """Raises 413, and 400 when it is not sent as HTTP has it."""
    try:
        exchange.body = await exchange.request.read()
    except web.RequestPayloadError as exc:
        raise errors.bad_request(str(exc)) from exc
    except web.HTTPRequestEntityTooLarge:
        raise errors.request_entity_too_large(f"limit is {LIMIT}") from None
    return exchange.body


async def read_object(
    exchange: Exchange, gvk: GroupVersionKind, validation: str, *, older: str = ""
) -> Object:
    """The body as an object of ``gvk``: unknown fields dropped, defaults not yet set. Raises 400, 413, 415.

    ``older``: another group version that means the same."""
    media_type = negotiation.content_type(
        exchange.request.headers.get("Content-Type"), exchange.services.media_types
    )
    data = await read(exchange)
    custom = gvk in exchange.services.schemas.custom
    if custom and media_type == negotiation.PROTOBUF:
        raise errors.unsupported_media_type(without_protobuf(exchange.services.media_types))
    value = await decode(data, media_type, gvk)
    is_json = media_type == negotiation.JSON
    raw = data if is_json and repeats_fields(value, data) else None
    if older and value.get("apiVersion") == older:
        value["apiVersion"] = gvk.group_version
    if custom:
        check_custom_kind(value, gvk)
    else:
        check_kind(value, gvk)
    return checked(exchange, gvk, value, raw, validation, ordered=is_json)


async def decode(data: bytes, media_type: str, gvk: GroupVersionKind) -> Object:
    """As `parse`, of any form. What would take long is done in a thread, so that others are served meanwhile."""
    work = partial(envelope.decode, data, gvk)
    if media_type != negotiation.PROTOBUF:
        work = partial(parse, data, media_type, gvk.kind)
    return work() if media_type == negotiation.JSON else await aside(work, len(data))


async def aside(work: Callable[[], T], size: int) -> T:
    """What ``work`` makes of ``size`` bytes: in a thread if there are many, as all forms but JSON are slow."""
    return work() if size < _LARGE else await asyncio.to_thread(work)


def without_protobuf(media_types: tuple[str, ...]) -> tuple[str, ...]:
    """What custom resources are read and written in: their fields have no numbers."""
    return tuple(name for name in media_types if name != negotiation.PROTOBUF)


def parse(data: bytes, media_type: str, kind: str) -> Object:
    """A JSON, YAML or CBOR body. Raises 400, 413."""
    try:
        value = _DECODERS.get(media_type, decode_json)(data)
    except RecursionError:
        raise _too_deep() from None
    except codec.DecodeError:
        raise _unrecognised(kind, data, go_json.complaint(data.decode("utf-8", "replace"))) from None
    if media_type in _DECODERS or not _is_small(data):
        require_few_values(value)
    if value is None:
        return {}  # Go's decoder leaves the object as it is
    if not isinstance(value, dict):
        reason = f"json: cannot unmarshal {go_json.kind(value)} into Go value of type {_HEADER_TYPE}"
        raise _unrecognised(kind, data, reason, binary=True)
    _check_header(value, kind, data)
    return value


def _check_header(value: Object, kind: str, data: bytes) -> None:
    for name in ("apiVersion", "kind"):
        found = value.get(name)
        if found is not None and not isinstance(found, str):
            text = f"json: cannot unmarshal {go_json.kind(found)} into Go struct field .{name} of type string"
            raise _unrecognised(kind, data, text, binary=True)


def decode_json(data: bytes) -> Any:
    """Raises DecodeError, and 413 for very many values before it takes the time to make them."""
    if data.count(b",") > codec.MAX_VALUES and TEXT.sub(b"", data).count(b",") > codec.MAX_VALUES:
        raise too_many()
    return codec.decode(data)


def _is_small(data: bytes) -> bool:
    """Whether a JSON text is too short for too many values, and has too few brackets to be too deep."""
    return len(data) <= codec.MAX_VALUES and data.count(b"{") + data.count(b"[") <= codec.MAX_DEPTH


def too_many() -> errors.StatusError:
    """The 413 for a document of more than `codec.MAX_VALUES` values."""
    return errors.request_entity_too_large(f"more than {codec.MAX_VALUES} values in one object")


def _too_deep() -> errors.StatusError:
    return errors.bad_request(f"json: {codec.TOO_DEEP}: the object has more than {codec.MAX_DEPTH} levels")


def require_few_values(value: Any) -> None:
    """Raise 413 for a document that is small in bytes but would hold the event loop for seconds, 400 for a deep one."""
    if codec.count_values(value) > codec.MAX_VALUES:
        raise too_many()
    if codec.is_too_deep(value):
        raise _too_deep()


def _yaml(data: bytes) -> Any:
    try:
        return yaml.load(data).value
    except yaml.TooManyValues:
        raise too_many() from None
    except yaml.YamlError as exc:
        raise errors.bad_request(f"error converting YAML to JSON: {exc}") from exc


_DECODERS: Final = {negotiation.YAML: _yaml, negotiation.CBOR: cbor.load}


def _unrecognised(kind: str, data: bytes, reason: str, *, binary: bool = False) -> errors.StatusError:
    if not data:
        shown = "<empty>"
    elif binary:
        shown = data.hex() if len(data) <= 30 else data[:30].hex() + " ..."
    else:
        text = data.decode("utf-8", "replace")
        shown = text if len(text) <= 30 else text[:30] + " ..."
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
        f"json parse error: {reason} ({shown})"
    )


def check_kind(value: Object, gvk: GroupVersionKind) -> None:
    """Fills in kind and apiVersion when absent; raises 400 when they are another's."""
    kind, api_version = value.get("kind") or gvk.kind, value.get("apiVersion") or gvk.group_version
    if (kind, api_version) != (gvk.kind, gvk.group_version):
        reason = mismatch(kind, api_version, gvk)
        version = api_version.rpartition("/")[2]
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {gvk.kind}: {reason}')
    value["kind"], value["apiVersion"] = kind, api_version


def check_custom_kind(value: Object, gvk: GroupVersionKind) -> None:
    """Custom resources must say what they are. Raises 400; another kind of the right version is refused later."""
    for key, what in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not isinstance(value.get(key), str) or not value[key]:
            shown = codec.dumps(value).decode()
            raise errors.bad_request(f"Object '{what}' is missing in '{shown}'")
    given = value["apiVersion"]
    if given != gvk.group_version:
        raise errors.bad_request(
            f"the API version in the data ({given}) does not match the expected API version ({gvk.group_version})"
        )


def mismatch(kind: str, api_version: str, gvk: GroupVersionKind) -> str:
    """In which way another kind does not fit, as the original's scheme says it."""
    if api_version != gvk.group_version:
        return f'no kind "{kind}" is registered for version "{api_version}" in scheme "kubernetes"'
    group = gvk.group.partition(".")[0] or "core"
    version = GroupVersion.parse(api_version).version
    return f"converting ({version}.{kind}) to ({group}.{gvk.kind}): unknown conversion"


def checked(
    exchange: Exchange,
    gvk: GroupVersionKind,
    value: Object,
    raw: bytes | None,
    validation: str,
    *,
    ordered: bool = False,
    before: Sequence[str] = (),
    converting: bool = False,
) -> Object:
    """The object pruned and normalised; complaints fail, warn or are ignored as asked.

    ``raw``: the text, if fields may come twice in it. ``ordered``: complaints are told as they are found, else in order
    of their fields; always after those that were found ``before``. ``converting``: types that do not fit are told as
    the converter of patched objects does.
    """
    if not ordered and codec.is_too_deep(value):  # a JSON body was looked at when it was read
        raise _too_deep()
    raw = raw if validation != options.IGNORE else None
    obj, complaints = exchange.services.schemas.check(gvk, value, raw, converting=converting)
    complaints = [*before, *(complaints if ordered else sorted(complaints))]
    if complaints and validation == options.STRICT:
        raise errors.bad_request(
            f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: '
            f"strict decoding error: {', '.join(complaints)}"
        )
    if validation == options.WARN:
        for text in complaints:
            exchange.warn(text)
    return completed(obj, value)


def completed(obj: Object, value: Object) -> Object:
    """What is checked of ``value``, with metadata."""
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    if isinstance(given := value.get("metadata"), dict) and given.get("managedFields") == []:
        obj["metadata"]["managedFields"] = []  # says more than nothing: see apiserver.patch.apply.managed
    return obj
