"""504 for a request that is not long-running and takes longer than ``--request-timeout``.

A connection to another API server that is upgraded has left HTTP: it may last.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from apiserver.api import errors
from apiserver.http.filters.interface import Handler, elsewhere, long_running
from apiserver.http.proxy.upgrade import is_upgrade
from apiserver.http.scope import Exchange, Services


def with_timeout(services: Services, handler: Handler) -> Handler:
    limit = services.config.request_timeout

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if long_running(exchange.info) or (is_upgrade(exchange.request) and elsewhere(exchange)):
            return await handler(exchange)
        try:
            async with asyncio.timeout(limit):
                return await handler(exchange)
        except TimeoutError:
            text = "request did not complete within the allotted timeout"
            raise errors.timeout(text) from None

    return handle
