"""Accept and Content-Type: which form an answer takes, how a body is read.

Pure. Follows ``apiserver/pkg/endpoints/handlers/negotiation``: the first acceptable clause wins; ``as=Table`` and
``as=PartialObjectMetadata`` (``v`` v1 or v1beta1, ``g`` meta.k8s.io) transform. One difference is meant: protobuf is
written only for who accepts nothing else, since stored bytes are JSON and pass through unparsed.
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
CBOR: Final = "application/cbor"
MEDIA_TYPES: Final = (JSON, YAML, PROTOBUF)
WITH_CBOR: Final = (*MEDIA_TYPES, CBOR)
_TRANSFORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_VERSIONS: Final = frozenset({"v1", "v1beta1"})
_PRETTY_AGENTS: Final = ("curl", "Wget", "Mozilla/5.0")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """``transform`` is empty or the kind of ``as=``, in version ``version`` of meta.k8s.io."""

    media_type: str = JSON
    transform: str = ""
    version: str = "v1"
    pretty: bool = False


PLAIN: Final = Accepted()


@lru_cache(maxsize=256)
def negotiate(
    accept: str | None, served: tuple[str, ...] = MEDIA_TYPES, *, transforms: bool = True
) -> Accepted:
    """Raises 406 with the original's two texts: nothing served at all, or no transform served."""
    if not accept or not accept.strip():
        return PLAIN
    known, last_choice = False, None
    for media_type, parameters in clauses(accept):
        found = JSON if media_type == "*/*" else media_type
        known = known or found in served
        if found not in served:
            continue
        accepted = _accepted(found, parameters, transforms)
        if accepted is not None and found != PROTOBUF:
            return accepted
        last_choice = last_choice or accepted
    if last_choice is not None:
        return last_choice
    if known:
        raise not_served(served)
    raise errors.generic(406, "406: Not Acceptable\n\nAvailable representations: " + ", ".join(served))


def not_served(served: tuple[str, ...]) -> errors.StatusError:
    return errors.not_acceptable("only the following media types are accepted: " + ", ".join(served))


def _accepted(media_type: str, parameters: dict[str, str], transforms: bool) -> Accepted | None:
    """None: not with these parameters."""
    kind, stream = parameters.get("as", ""), parameters.get("stream", "watch")
    pretty = parameters.get("pretty") == "1"
    if stream != "watch":
        return None
    if not kind:
        return Accepted(media_type, pretty=pretty)
    version = parameters.get("v", "")
    group_fits = version in _VERSIONS and parameters.get("g") == "meta.k8s.io"
    if not transforms or kind not in _TRANSFORMS or not group_fits:
        return None
    if kind == "Table" and media_type == PROTOBUF:
        return None
    return Accepted(media_type, kind, version, pretty)


def wants_pretty(asked: str | None, agent: str) -> bool:
    """The query parameter, or else whether a person seems to be reading."""
    return asked in _TRUE if asked else agent.startswith(_PRETTY_AGENTS)


def clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(media type, parameters), the most wanted first."""
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


def content_type(header: str | None, served: tuple[str, ...] = MEDIA_TYPES) -> str:
    """The media type of a request body, JSON if none is named. Raises 415."""
    media_type = (header or "").partition(";")[0].strip().lower() or JSON
    if media_type not in served:
        raise errors.unsupported_media_type(served)
    return media_type
