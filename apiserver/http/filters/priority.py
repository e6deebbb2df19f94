"""A seat for every request, by API Priority and Fairness; 429 for those that get none.

Long-running requests take no seat, nor do those that another API server serves. The answer names the schema and level
by their uids, as the original does: names would tell strangers how they are valued.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from apiserver.flowcontrol.controller import Rejected
from apiserver.http import responders
from apiserver.http.filters.interface import READ_VERBS, Handler, elsewhere, long_running
from apiserver.http.scope import Exchange, Services

TOO_MANY: Final = "Too many requests, please try again later.\n"
_SCHEMA: Final = "X-Kubernetes-PF-FlowSchema-UID"
_LEVEL: Final = "X-Kubernetes-PF-PriorityLevel-UID"


def with_priority_and_fairness(services: Services, handler: Handler) -> Handler:
    flow = services.flow
    assert flow is not None

    async def handle(exchange: Exchange) -> web.StreamResponse:
        info = exchange.info
        if long_running(info) or elsewhere(exchange):
            return await handler(exchange)
        found = flow.classify(info, exchange.user)
        exchange.headers[_SCHEMA] = found.schema.uid
        exchange.headers[_LEVEL] = found.level.config.uid
        try:
            ticket = await flow.enter(found)
        except Rejected:
            return too_many(services, exchange)
        exchange.step("got a seat")
        try:
            return await handler(exchange)
        finally:
            flow.leave(found, ticket)

    return handle


def too_many(services: Services, exchange: Exchange) -> web.Response:
    services.metrics.dropped(exchange.info.verb in READ_VERBS)
    response = responders.text(TOO_MANY, 429)
    response.headers["Retry-After"] = "1"
    return response
