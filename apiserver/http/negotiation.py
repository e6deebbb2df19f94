"""Accept and Content-Type: which form an answer takes, how a body is read.

Pure. Follows ``apiserver/pkg/endpoints/handlers/negotiation``: the first acceptable clause wins; JSON and YAML are
served; ``as=Table`` and ``as=PartialObjectMetadata`` (``v`` v1 or v1beta1, ``g`` meta.k8s.io) transform. Protobuf is
read but not written: a client that asks for it first falls through to its next choice, as real clients send one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from apiserver.api import errors

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES: Final = (JSON, YAML, PROTOBUF)
_TRANSFORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_VERSIONS: Final = frozenset({"v1", "v1beta1"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """``transform`` is empty or the kind of ``as=``, in version ``version`` of meta.k8s.io."""

    media_type: str = JSON
    transform: str = ""
    version: str = "v1"


PLAIN: Final = Accepted()


@lru_cache(maxsize=256)
def negotiate(accept: str | None) -> Accepted:
    """Raises 406 with the original's two texts: nothing served at all, or no transform served."""
    if not accept or not accept.strip():
        return PLAIN
    known = False
    for media_type, parameters in _clauses(accept):
        found = JSON if media_type == "*/*" else media_type
        known = known or found in MEDIA_TYPES
        if found not in (JSON, YAML):
            continue
        accepted = _transform(found, parameters)
        if accepted is not None:
            return accepted
    if known:
        raise errors.not_acceptable("only the following media types are accepted: " + ", ".join(MEDIA_TYPES))
    raise errors.generic(406, "406: Not Acceptable\n\nAvailable representations: " + ", ".join(MEDIA_TYPES))


def _transform(media_type: str, parameters: dict[str, str]) -> Accepted | None:
    kind = parameters.get("as", "")
    if not kind:
        return Accepted(media_type)
    version = parameters.get("v", "")
    if kind in _TRANSFORMS and version in _VERSIONS and parameters.get("g") == "meta.k8s.io":
        return Accepted(media_type, kind, version)
    return None


def _clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    weighted = [_clause(text) for text in accept.split(",") if text.strip()]
    yield from sorted(weighted, key=lambda clause: -_quality(clause[1]))


def _clause(text: str) -> tuple[str, dict[str, str]]:
    media_type, *rest = text.split(";")
    pairs = (item.partition("=") for item in rest)
    return media_type.strip().lower(), {key.strip(): value.strip() for key, _, value in pairs}


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def content_type(header: str | None) -> str:
    """The media type of a request body, JSON if none is named. Raises 415."""
    media_type = (header or "").partition(";")[0].strip().lower() or JSON
    if media_type not in MEDIA_TYPES:
        raise errors.unsupported_media_type(MEDIA_TYPES)
    return media_type
