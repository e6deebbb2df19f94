"""429 beyond ``--max-requests-inflight`` and ``--max-mutating-requests-inflight``.

Stands in for priority and fairness when that is switched off. Nobody queues: whoever finds no slot is refused.
"""

from __future__ import annotations

from aiohttp import web

from apiserver.auth.user import MASTERS
from apiserver.http.filters.interface import READ_VERBS, Handler, long_running
from apiserver.http.filters.priority import too_many
from apiserver.http.scope import Exchange, Services


def with_in_flight_limit(services: Services, handler: Handler) -> Handler:
    config = services.config
    limits = {True: config.max_requests_inflight, False: config.max_mutating_requests_inflight}
    taken = {True: 0, False: 0}

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if long_running(exchange.info) or MASTERS in exchange.user.groups:
            return await handler(exchange)
        reads = exchange.info.verb in READ_VERBS
        if taken[reads] >= limits[reads]:
            return too_many(services, exchange)
        taken[reads] += 1
        try:
            return await handler(exchange)
        finally:
            taken[reads] -= 1

    return handle
