"""The OpenAPI documents of other servers.

Version 2 is merged into this server's own; of version 3 the index names them, and a document is asked of its server
when somebody wants it. For a server that has version 2 alone, version 3 is made of it here.

Fetched when an APIService appears or changes, and once a minute. A server without OpenAPI is served all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from apiserver.aggregator.openapi_convert import version3
from apiserver.aggregator.openapi_merge import Merged, merged
from apiserver.aggregator.service import ApiService, Reference
from apiserver.aggregator.upstream import Answer, Unreachable, Upstream
from apiserver.api import codec
from apiserver.schema.openapi import OpenApi

log = logging.getLogger(__name__)
_PREFIX: Final = "/openapi/v3/"
_JSON: Final = {"Accept": "application/json"}
_SECONDS: Final = 20.0


class Described(NamedTuple):
    """A group version in version 3. ``document``: made here; None: the server is asked for it."""

    url: str
    server: ApiService
    document: bytes | None = None
    hash: str = ""


@dataclass(slots=True)
class _Known:
    """Of one server: ``index`` of version 3 (None: it has none), and version 2 as it came."""

    index: Mapping[str, str] | None = None
    v2: bytes = b""
    tag: str = ""


class RemoteOpenApi:
    def __init__(self, upstream: Upstream, own: OpenApi) -> None:
        self._upstream = upstream
        self._own = own
        self._known: dict[Reference, _Known] = {}
        self._merged_from = ""
        self._asked: Mapping[str, Described] = {}
        self._made: Mapping[str, Described] = {}

    def described(self) -> Mapping[str, Described]:
        """By path: ``apis/GROUP/VERSION``."""
        return {**self._made, **self._asked}

    async def refresh(self, remote: Iterable[ApiService]) -> bool:
        """Whether all servers that can be reached have answered."""
        servers: dict[Reference, list[ApiService]] = {}
        for item in remote:
            if item.service is not None and item.available:
                servers.setdefault(item.service, []).append(item)
        for reference in self._known.keys() - servers.keys():
            del self._known[reference]
        answered = await asyncio.gather(*(self._fetch(*pair) for pair in servers.items()))
        self._asked = self._indexed(servers)
        await self._merge(servers)
        return all(answered)

    async def _fetch(self, reference: Reference, items: Sequence[ApiService]) -> bool:
        known = self._known.setdefault(reference, _Known())
        try:
            known.index = _index(await self._upstream.get(items[0], "/openapi/v3", _JSON, seconds=_SECONDS))
            asked = {**_JSON, **({"If-None-Match": known.tag} if known.tag else {})}
            answer = await self._upstream.get(items[0], "/openapi/v2", asked, seconds=_SECONDS)
            if answer.status == 200:
                known.v2, known.tag = answer.body, answer.headers.get("ETag", "")
            elif answer.status != 304:
                known.v2, known.tag = b"", ""
        except (Unreachable, codec.DecodeError, TimeoutError) as exc:
            log.info("OpenAPI of %s: %s", reference, exc)
            return False
        return True

    def _indexed(self, servers: Mapping[Reference, Sequence[ApiService]]) -> dict[str, Described]:
        found: dict[str, Described] = {}
        for reference, items in servers.items():
            index = self._known[reference].index or {}
            for item in items:
                for path in (f"apis/{item.group}", f"apis/{item.group}/{item.version}"):
                    if path in index:
                        found.setdefault(path, Described(index[path], item))
        return found

    async def _merge(self, servers: Mapping[Reference, Sequence[ApiService]]) -> None:
        specs = [
            _Spec(self._known[reference].v2, items, self._known[reference].index is None)
            for reference, items in sorted(servers.items())
            if self._known[reference].v2
        ]
        source = _fingerprint(specs)
        if source != self._merged_from:
            await asyncio.to_thread(self._put, specs, source)
            self._merged_from = source

    def _put(self, specs: Sequence[_Spec], source: str) -> None:
        decoded = [(document, spec) for spec in specs if (document := _decoded(spec)) is not None]
        made: dict[str, Described] = {}
        try:
            found = merged([(document, spec.paths) for document, spec in decoded], self._own.v2_definition)
            for document, spec in decoded:
                made |= _converted(document, spec) if spec.alone else {}
        except (AttributeError, TypeError, RecursionError) as exc:
            log.warning("the OpenAPI documents of other servers cannot be read: %r", exc)
            found, made = Merged({}, {}), {}
        self._own.replace_remote(found.paths, found.definitions, source)
        self._made = made


class _Spec(NamedTuple):
    """Version 2 of a server. ``alone``: it has no version 3."""

    data: bytes
    items: Sequence[ApiService]
    alone: bool

    @property
    def paths(self) -> list[str]:
        return [item.path for item in self.items]


def _decoded(spec: _Spec) -> dict[str, Any] | None:
    try:
        document = codec.decode(spec.data)
    except codec.DecodeError as exc:
        log.info("OpenAPI of %s: %s", ", ".join(spec.paths), exc)
        return None
    return document if isinstance(document, dict) else None


def _converted(document: Mapping[str, Any], spec: _Spec) -> dict[str, Described]:
    found: dict[str, Described] = {}
    for item in spec.items:
        data = codec.dumps(version3(document, item.path))
        name, digest = item.path.removeprefix("/"), hashlib.sha512(data).hexdigest().upper()
        found[name] = Described(f"{_PREFIX}{name}?hash={digest}", item, data, digest)
    return found


def _index(answer: Answer) -> dict[str, str] | None:
    if answer.status != 200:
        return None if answer.status == 404 else {}
    document: Any = codec.decode(answer.body)
    paths = document.get("paths") if isinstance(document, dict) else None
    found = {}
    for path, entry in (paths if isinstance(paths, dict) else {}).items():
        url = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
        if isinstance(url, str) and url.startswith(_PREFIX):
            found[str(path)] = url
    return found


def _fingerprint(specs: Sequence[_Spec]) -> str:
    """Empty for nothing; alike on every server."""
    if not specs:
        return ""
    digest = hashlib.sha512()
    for spec in specs:
        digest.update(f"{' '.join(spec.paths)} {spec.alone}\0".encode() + hashlib.sha512(spec.data).digest())
    return digest.hexdigest()
