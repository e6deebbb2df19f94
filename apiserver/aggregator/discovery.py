"""What other servers serve: their discovery documents, fetched for each Service and kept.

Fetched when an APIService appears or changes and once a minute; a server that does not answer keeps the entries that
are known of it, marked as stale. One server may stand behind several APIServices and is asked once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.aggregator import discovery_documents as documents
from apiserver.aggregator.discovery_documents import CURRENT, STALE, Unreadable
from apiserver.aggregator.service import ApiService, GroupVersion, Reference
from apiserver.aggregator.upstream import Unreachable, Upstream
from apiserver.api import codec

log = logging.getLogger(__name__)
Object = dict[str, Any]
_REFRESH_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0
_JSON: Final = "application/json"


@dataclass(slots=True)
class _Known:
    entries: Mapping[GroupVersion, Object] = field(default_factory=dict)
    tag: str = ""
    stale: bool = True


class Discovery:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._known: dict[Reference, _Known] = {}

    def entry(self, item: ApiService) -> Object:
        """What the aggregated document says of a remote version."""
        assert item.service is not None
        known = self._known.get(item.service, _Known())
        entry = known.entries.get((item.group, item.version), {"version": item.version})
        return {**entry, "freshness": STALE if known.stale or not item.available else CURRENT}

    async def refresh(self, remote: Iterable[ApiService]) -> bool:
        """Asks every server that there is; whether all have answered."""
        servers: dict[Reference, list[ApiService]] = {}
        for item in remote:
            assert item.service is not None
            servers.setdefault(item.service, []).append(item)
        for reference in self._known.keys() - servers.keys():
            del self._known[reference]
        answered = await asyncio.gather(*(self._fetch(*pair) for pair in servers.items()))
        return all(answered)

    async def _fetch(self, reference: Reference, items: list[ApiService]) -> bool:
        known = self._known.setdefault(reference, _Known())
        if not any(item.available for item in items):
            known.stale = True
            return True  # it is asked again when that changes
        try:
            await self._read(known, items)
            known.stale = False
        except (Unreachable, Unreadable, codec.DecodeError, TimeoutError) as exc:
            log.info("discovery of %s: %s", reference, exc)
            known.stale = True
        return not known.stale

    async def _read(self, known: _Known, items: list[ApiService]) -> None:
        asked = {"Accept": f"{documents.ACCEPT},{_JSON}"}
        if known.tag:
            asked["If-None-Match"] = known.tag
        answer = await self._upstream.get(items[0], "/apis", asked)
        if answer.status == 304:
            return
        if answer.status == 200:
            entries = documents.aggregated(codec.decode(answer.body))
            if entries is not None:
                known.entries, known.tag = entries, answer.headers.get("ETag", "")
                return
        known.entries = {(item.group, item.version): await self._version(item) for item in items}

    async def _version(self, item: ApiService) -> Object:
        """From a server that has no aggregated document."""
        answer = await self._upstream.get(item, item.path, {"Accept": _JSON})
        if answer.status != 200:
            raise Unreachable(answer.url, f"failed to download discovery for {item.path}: {answer.status}")
        return documents.of_resources(codec.decode(answer.body), item.version)


async def wait(wake: asyncio.Event, *, complete: bool) -> None:
    """Until it is time to ask again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REFRESH_SECONDS if complete else _RETRY_SECONDS):
            await wake.wait()
