"""One line for every request, as the original's httplog writes it at ``-v=3``; built into the chain only then."""

from __future__ import annotations

import logging
import time
from typing import Final

from aiohttp import web

from apiserver.http.filters.headers import AUDIT_ID
from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services

log = logging.getLogger(__name__)

ACCESS_LOG_FROM: Final = 3


def with_access_log(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        started, code = time.perf_counter(), 0
        try:
            response = await handler(exchange)
            code = response.status
            return response
        finally:
            log.info("%s", line(exchange, code, time.perf_counter() - started))

    return handle


def line(exchange: Exchange, code: int, seconds: float) -> str:
    """``code`` 0: the client did not wait for an answer."""
    request = exchange.request
    pairs = {
        "verb": exchange.info.verb.upper(),
        "URI": request.rel_url.raw_path_qs,
        "latency": f"{seconds * 1000:.3f}ms",
        "userAgent": request.headers.get("User-Agent", ""),
        "audit-ID": exchange.headers.get(AUDIT_ID, ""),
        "srcIP": request.remote or "",
        "user": exchange.user.name,
    }
    shown = " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
    return f'"HTTP" {shown} resp={code}'


def _quoted(value: str) -> str:
    """A line stays a line, whatever a client has sent."""
    return '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
