"""Headers that every answer has: the request's id, and what other filters have put into ``Exchange.headers``.

A client may choose the id (``Audit-Id``); it is the ``auditID`` of the request's audit events. Streamed answers have
got the headers when they began (``responders.add_warnings``).
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services

AUDIT_ID: Final = "Audit-Id"
_LONGEST_ID: Final = 64


def with_headers(services: Services, handler: Handler) -> Handler:
    new_uid = services.new_uid

    async def handle(exchange: Exchange) -> web.StreamResponse:
        exchange.headers[AUDIT_ID] = exchange.request.headers.get(AUDIT_ID, "")[:_LONGEST_ID] or new_uid()
        response = await handler(exchange)
        if not response.prepared:
            response.headers.update(exchange.headers)
        return response

    return handle
