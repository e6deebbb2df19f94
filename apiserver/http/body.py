"""Reads a request's body and makes an object of it: size limit, media type, decoding, kind check, field validation."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors, go_json
from apiserver.api.gvk import GroupVersion, GroupVersionKind
from apiserver.http import cbor, negotiation, options, yaml
from apiserver.http.protobuf import envelope
from apiserver.http.scope import Exchange, Object
from apiserver.schema.check import TEXT, repeats_fields

LIMIT: Final = 3 * 1024 * 1024
_LARGE: Final = 1 << 16
_HEADER_TYPE: Final = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)


async def read(exchange: Exchange) -> bytes:
    """Raises 413, and 400 when it is not sent as HTTP has it."""
    try:
        return await exchange.request.read()
    except web.RequestPayloadError as exc:
        raise errors.bad_request(str(exc)) from exc
    except web.HTTPRequestEntityTooLarge:
        raise errors.request_entity_too_large(f"limit is {LIMIT}") from None


async def read_object(
    exchange: Exchange, gvk: GroupVersionKind, validation: str, *, older: str = ""
) -> Object:
    """The body as an object of ``gvk``: unknown fields dropped, defaults not yet set. Raises 400, 413, 415.

    ``older``: another group version that means the same."""
    media_type = negotiation.content_type(
        exchange.request.headers.get("Content-Type"), exchange.services.media_types
    )
    data = await read(exchange)
    value = await decode(data, media_type, gvk)
    raw = data if media_type == negotiation.JSON and repeats_fields(value, data) else None
    if older and value.get("apiVersion") == older:
        value["apiVersion"] = gvk.group_version
    check_kind(value, gvk)
    return checked(exchange, gvk, value, raw, validation)


async def decode(data: bytes, media_type: str, gvk: GroupVersionKind) -> Object:
    """As `parse`, of any form. What would take long is done in a thread, so that others are served meanwhile."""
    read = partial(envelope.decode, data, gvk)
    if media_type != negotiation.PROTOBUF:
        read = partial(parse, data, media_type, gvk.kind)
    if media_type == negotiation.JSON or len(data) < _LARGE:
        return read()
    return await asyncio.to_thread(read)


def parse(data: bytes, media_type: str, kind: str) -> Object:
    """A JSON, YAML or CBOR body. Raises 400, 413."""
    try:
        value = _DECODERS.get(media_type, decode_json)(data)
    except codec.DecodeError:
        raise _unrecognised(kind, data, go_json.complaint(data.decode("utf-8", "replace"))) from None
    require_few_values(value)
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
        raise _too_many()
    return codec.decode(data)


def _too_many() -> errors.StatusError:
    return errors.request_entity_too_large(f"more than {codec.MAX_VALUES} values in one object")


def require_few_values(value: Any) -> None:
    """Raise for a document that is small in bytes but would hold the event loop for seconds (413) or fill the stack."""
    if codec.count_values(value) > codec.MAX_VALUES:
        raise _too_many()
    if codec.too_deep(value):
        raise errors.bad_request(f"json: {go_json.TOO_DEEP}")


def _yaml(data: bytes) -> Any:
    try:
        return yaml.load(data)
    except yaml.TooManyValues:
        raise _too_many() from None
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


def mismatch(kind: str, api_version: str, gvk: GroupVersionKind) -> str:
    """In which way another kind does not fit, as the original's scheme says it."""
    if api_version != gvk.group_version:
        return f'no kind "{kind}" is registered for version "{api_version}" in scheme "kubernetes"'
    group = gvk.group.partition(".")[0] or "core"
    version = GroupVersion.parse(api_version).version
    return f"converting ({version}.{kind}) to ({group}.{gvk.kind}): unknown conversion"


def checked(
    exchange: Exchange, gvk: GroupVersionKind, value: Object, raw: bytes | None, validation: str
) -> Object:
    """The object pruned and normalised; complaints fail, warn or are ignored as asked."""
    raw = raw if validation != options.IGNORE else None
    obj, complaints = exchange.services.schemas.check(gvk, value, raw)
    if complaints and validation == options.STRICT:
        raise errors.bad_request(
            f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: '
            f"strict decoding error: {', '.join(complaints)}"
        )
    if validation == options.WARN:
        for text in complaints:
            exchange.warn(text)
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    return obj
