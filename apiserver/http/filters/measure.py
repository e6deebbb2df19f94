"""Counts and times every answer, and what is under way."""

from __future__ import annotations

import time

from aiohttp import web

from apiserver.http.filters.interface import READ_VERBS, Handler, long_running
from apiserver.http.scope import Exchange, Services


def with_metrics(services: Services, handler: Handler) -> Handler:
    metrics = services.metrics

    async def handle(exchange: Exchange) -> web.StreamResponse:
        info = exchange.info
        series, reads, long = metrics.series(info), info.verb in READ_VERBS, long_running(info)
        started = time.perf_counter()
        if long:
            series.open += 1
        else:
            metrics.under_way[reads] += 1
        try:
            response = await handler(exchange)
        except BaseException:
            series.aborted += 1
            raise
        finally:
            if long:
                series.open -= 1
            else:
                metrics.under_way[reads] -= 1
        series.codes[response.status] += 1
        series.seconds.observe(time.perf_counter() - started)
        if info.verb in ("get", "list") and isinstance(response, web.Response):
            series.sizes.observe(response.content_length or 0)
        return response

    return handle
