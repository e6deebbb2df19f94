"""The path of every request, in order. Read :func:`filters` from top to bottom.

Each filter takes the next handler and returns a handler; the last one routes to a verb. Everything below
``with_errors`` raises :class:`StatusError`; it is turned into an answer there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from apiserver.http import extension, request_info
from apiserver.http.filters.access import ACCESS_LOG_FROM, with_access_log
from apiserver.http.filters.audit import with_audit, with_failed_authentication_audit
from apiserver.http.filters.authentication import with_authentication
from apiserver.http.filters.authorization import with_authorization
from apiserver.http.filters.drain import with_drain
from apiserver.http.filters.failures import with_errors
from apiserver.http.filters.faults import with_faults
from apiserver.http.filters.headers import with_headers
from apiserver.http.filters.impersonation import with_impersonation
from apiserver.http.filters.in_flight import with_in_flight_limit
from apiserver.http.filters.interface import Filter, Handler
from apiserver.http.filters.journal import with_journal
from apiserver.http.filters.measure import with_metrics
from apiserver.http.filters.priority import with_priority_and_fairness
from apiserver.http.filters.timeout import with_timeout
from apiserver.http.filters.trace import with_trace
from apiserver.http.router import route
from apiserver.http.scope import Exchange, Services


def build(services: Services) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    handler: Handler = route
    for wrap in reversed(filters(services)):
        handler = wrap(services, handler)

    async def entry(request: web.BaseRequest) -> web.StreamResponse:
        info = request_info.parse(request.method, request.rel_url.raw_path, request.query)
        exchange = Exchange(request, services, info)
        if not info.is_resource:
            exchange.extension = extension.find(services.extensions, info.path)
            info.is_watch = exchange.extension is not None and request_info.boolean(
                request.query.get("watch")
            )
        return await handler(exchange)

    return entry


def filters(services: Services) -> tuple[Filter, ...]:
    """The first one sees a request first and its answer last."""
    audited = services.audit_log is not None and services.audit_policy is not None
    return (
        with_drain,  # count what is under way; while shutting down, end the connection
        with_headers,  # Audit-Id, and what the filters below add
        with_metrics,  # count and time every answer
        *((with_access_log,) if services.config.verbosity >= ACCESS_LOG_FROM else ()),
        with_trace,  # where the time of a slow one went
        with_errors,  # exceptions become Status objects
        *((with_failed_authentication_audit,) if audited else ()),
        with_authentication,  # who is it
        *((with_audit, with_errors) if audited else ()),  # what was asked and answered, errors included
        with_impersonation,  # as whom do they act
        *((with_journal,) if services.journal is not None else ()),  # what it did, for those who ask why
        # a seat, a place in a queue, or 429; watches take no seat
        with_in_flight_limit if services.flow is None else with_priority_and_fairness,
        with_authorization,  # may they
        with_timeout,  # 504 for requests that are not long-running
        *((with_faults,) if services.faults is not None else ()),  # what somebody asked to go wrong
    )
