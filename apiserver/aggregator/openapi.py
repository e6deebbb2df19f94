"""The OpenAPI documents of other servers.

Version 2 is merged into this server's own; of version 3 the index names them, and a document is asked of its server
when somebody wants it.

Fetched when an APIService appears or changes, and once a minute. A server without OpenAPI is served all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.aggregator.openapi_merge import Merged, merged
from apiserver.aggregator.service import ApiService, Reference
from apiserver.aggregator.upstream import Answer, Unreachable, Upstream
from apiserver.api import codec
from apiserver.schema.openapi import OpenApi

log = logging.getLogger(__name__)
_PREFIX: Final = "/openapi/v3/"
_JSON: Final = {"Accept": "application/json"}
_SECONDS: Final = 20.0


@dataclass(slots=True)
class _Known:
    """Of one server: ``index`` of version 3, and version 2 as it came."""

    index: Mapping[str, str] = field(default_factory=dict)
    v2: bytes = b""
    tag: str = ""


class RemoteOpenApi:
    def __init__(self, upstream: Upstream, own: OpenApi) -> None:
        self._upstream = upstream
        self._own = own
        self._known: dict[Reference, _Known] = {}
        self._merged_from = ""
        self.index: Mapping[str, tuple[str, ApiService]] = {}
        """By path (``apis/GROUP/VERSION``): (URL, whom to ask)."""

    async def refresh(self, remote: Iterable[ApiService]) -> bool:
        """Whether all servers that can be reached have answered."""
        servers: dict[Reference, list[ApiService]] = {}
        for item in remote:
            if item.service is not None and item.available:
                servers.setdefault(item.service, []).append(item)
        for reference in self._known.keys() - servers.keys():
            del self._known[reference]
        answered = await asyncio.gather(*(self._fetch(*pair) for pair in servers.items()))
        self.index = self._indexed(servers)
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

    def _indexed(
        self, servers: Mapping[Reference, Sequence[ApiService]]
    ) -> dict[str, tuple[str, ApiService]]:
        found: dict[str, tuple[str, ApiService]] = {}
        for reference, items in servers.items():
            index = self._known[reference].index
            for item in items:
                for path in (f"apis/{item.group}", f"apis/{item.group}/{item.version}"):
                    if path in index:
                        found.setdefault(path, (index[path], item))
        return found

    async def _merge(self, servers: Mapping[Reference, Sequence[ApiService]]) -> None:
        specs = [
            (self._known[reference].v2, [item.path for item in items])
            for reference, items in sorted(servers.items())
            if self._known[reference].v2
        ]
        source = _fingerprint(specs)
        if source != self._merged_from:
            await asyncio.to_thread(self._put, specs, source)
            self._merged_from = source

    def _put(self, specs: Sequence[tuple[bytes, list[str]]], source: str) -> None:
        decoded = []
        for data, paths in specs:
            try:
                document = codec.decode(data)
            except codec.DecodeError as exc:
                log.info("OpenAPI of %s: %s", ", ".join(paths), exc)
                continue
            if isinstance(document, dict):
                decoded.append((document, paths))
        try:
            found = merged(decoded, self._own.v2_definition)
        except (AttributeError, TypeError, RecursionError) as exc:
            log.warning("the OpenAPI documents of other servers cannot be read: %r", exc)
            found = Merged({}, {})
        self._own.replace_remote(found.paths, found.definitions, source)


def _index(answer: Answer) -> dict[str, str]:
    if answer.status != 200:
        return {}
    document: Any = codec.decode(answer.body)
    paths = document.get("paths") if isinstance(document, dict) else None
    found = {}
    for path, entry in (paths if isinstance(paths, dict) else {}).items():
        url = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
        if isinstance(url, str) and url.startswith(_PREFIX):
            found[str(path)] = url
    return found


def _fingerprint(specs: Sequence[tuple[bytes, list[str]]]) -> str:
    """Empty for nothing; alike on every server."""
    if not specs:
        return ""
    digest = hashlib.sha512()
    for data, paths in specs:
        digest.update(" ".join(paths).encode() + b"\0" + hashlib.sha512(data).digest())
    return digest.hexdigest()
