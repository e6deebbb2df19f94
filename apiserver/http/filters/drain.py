"""Counts the requests under way, and sends clients elsewhere while the server shuts down.

From the first moment of a shutdown every answer ends its connection. A client that is active loses its connection
between two requests, never under one; at the end of the delay only idle connections are left to close.
"""

from __future__ import annotations

from aiohttp import web

from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services


def with_drain(services: Services, handler: Handler) -> Handler:
    lifecycle = services.lifecycle

    async def handle(exchange: Exchange) -> web.StreamResponse:
        with lifecycle.request():
            response = await handler(exchange)
        if lifecycle.shutting_down:
            response.force_close()
        return response

    return handle
