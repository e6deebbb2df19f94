"""An answer's JSON in the form that was negotiated: YAML, protobuf, CBOR, or JSON with line breaks. Pure.

Bytes first: plain JSON passes through. Everything else is decoded once and written anew. `responders` uses this for
whole answers, `render` for the frames of a watch.
"""

from __future__ import annotations

import json
from typing import Final

from apiserver.api import codec, errors
from apiserver.http import cbor, go_yaml
from apiserver.http.negotiation import CBOR, JSON, PROTOBUF, YAML, Accepted
from apiserver.http.protobuf import encode as protobuf

_STREAM_TYPES: Final = {PROTOBUF: f"{PROTOBUF};stream=watch", CBOR: f"{CBOR}-seq"}


def encode(accepted: Accepted, data: bytes) -> bytes:
    """``data``: one object as JSON. Raises 406 for kinds that have no such form."""
    match accepted.media_type:
        case "application/yaml":
            return go_yaml.dump(codec.decode(data))
        case "application/vnd.kubernetes.protobuf":
            return _protobuf(data)
        case "application/cbor":
            return cbor.dump(codec.decode(data))
    return pretty(data) if accepted.pretty else data + b"\n"


def pretty(data: bytes) -> bytes:
    return json.dumps(codec.decode(data), indent=2, ensure_ascii=False).encode()


def _protobuf(data: bytes) -> bytes:
    try:
        return protobuf.envelope(codec.decode(data))
    except protobuf.NoMessage as exc:
        raise errors.not_acceptable(str(exc)) from exc


def streams(media_type: str) -> bool:
    """Whether there is a form for many objects after one another."""
    return media_type != YAML


def stream_type(media_type: str) -> str:
    """The Content-Type of a watch."""
    return _STREAM_TYPES.get(media_type, JSON)


def frame(media_type: str, kind: str, data: bytes) -> bytes:
    """One event of a watch; ``data``: its object as JSON."""
    if media_type == PROTOBUF:
        return protobuf.watch_frame(kind, codec.decode(data))
    if media_type == CBOR:
        return cbor.dump({"type": kind, "object": codec.decode(data)})
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), data)
