"""Counts and times every answer, and what is under way."""

from __future__ import annotations

import time

from aiohttp import web

from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services


def with_metrics(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        started = time.perf_counter()
        response = await handler(exchange)
        services.metrics.observe(exchange.info, response.status, time.perf_counter() - started)
        return response

    return handle
