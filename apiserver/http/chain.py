"""The path of every request, in order. Read :func:`build` from top to bottom.

Each filter takes the next handler and returns a handler; the last one routes to a verb. Everything
below raises :class:`StatusError`; it is turned into an answer here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.auth.denial import forbidden
from apiserver.auth.rbac import Attributes
from apiserver.http import request_info, responders
from apiserver.http.filters.impersonation import with_impersonation
from apiserver.http.request_info import selected_fields
from apiserver.http.router import route
from apiserver.http.scope import Exchange, Services
from apiserver.storage.cacher import NotYet
from apiserver.storage.interface import StorageError

log = logging.getLogger(__name__)

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]
Filter = Callable[[Services, Handler], Handler]
_READ_VERBS: Final = frozenset({"get", "list", "watch", "head"})
_LONG_SUBRESOURCES: Final = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_ALWAYS_PUBLIC: Final = frozenset({"/healthz", "/livez", "/readyz"})


def build(services: Services) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    handler: Handler = route
    for wrap in reversed(
        (
            with_metrics,  # count and time every answer
            with_errors,  # exceptions become Status objects
            with_authentication,  # who is it
            with_impersonation,  # as whom do they act
            with_in_flight_limit,  # 429 beyond the limits; watches do not count
            with_authorization,  # may they
            with_timeout,  # 504 for requests that are not long-running
        )
    ):
        handler = wrap(services, handler)

    async def entry(request: web.BaseRequest) -> web.StreamResponse:
        info = request_info.parse(request.method, request.rel_url.raw_path, request.query)
        return await handler(Exchange(request, services, info))

    return entry


def with_metrics(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        started = time.perf_counter()
        response = await handler(exchange)
        services.metrics.observe(exchange.info, response.status, time.perf_counter() - started)
        return response

    return handle


def with_errors(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        try:
            return await handler(exchange)
        except StatusError as exc:
            return responders.error(exchange, exc)
        except NotYet as exc:
            return responders.error(exchange, errors.too_large_resource_version(exc.current, exc.asked))
        except StorageError as exc:
            return responders.error(exchange, errors.service_unavailable(f"the store cannot answer: {exc}"))
        except ConnectionError:
            raise  # the client is gone: nobody is left to be told
        except Exception as exc:
            log.exception("%s %s failed", exchange.request.method, exchange.info.path)
            return responders.error(exchange, errors.internal(f"{type(exc).__name__}: {exc}"))

    return handle


def with_authentication(services: Services, handler: Handler) -> Handler:
    authenticate = services.authenticator.authenticate

    async def handle(exchange: Exchange) -> web.StreamResponse:
        request = exchange.request
        certificate = None
        if request.transport is not None:
            tls = request.transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(True) if tls is not None else None
        exchange.user = await authenticate(certificate, request.headers)
        return await handler(exchange)

    return handle


def long_running(exchange: Exchange) -> bool:
    info = exchange.info
    return info.is_watch or (info.is_resource and info.subresource in _LONG_SUBRESOURCES)


def with_in_flight_limit(services: Services, handler: Handler) -> Handler:
    reading = asyncio.Semaphore(services.config.max_requests_inflight)
    writing = asyncio.Semaphore(services.config.max_mutating_requests_inflight)

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if long_running(exchange) or "system:masters" in exchange.user.groups:
            return await handler(exchange)
        slots = reading if exchange.info.verb in _READ_VERBS else writing
        if slots.locked():
            raise errors.too_many_requests("Too many requests, please try again later.", 1)
        async with slots:
            return await handler(exchange)

    return handle


def attributes(exchange: Exchange) -> Attributes:
    info = exchange.info
    if not info.is_resource:
        return Attributes(exchange.user, info.verb, path=info.path)
    return Attributes(
        exchange.user,
        info.verb,
        info.group,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        fields=selected_fields(exchange.query.get("fieldSelector")),
    )


def with_authorization(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        if exchange.info.path.rstrip("/") in _ALWAYS_PUBLIC:
            return await handler(exchange)
        asked = attributes(exchange)
        allowed, reason = await services.authorizer.decide(asked)
        if not allowed:
            raise forbidden(asked, reason)
        return await handler(exchange)

    return handle


def with_timeout(services: Services, handler: Handler) -> Handler:
    limit = services.config.request_timeout

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if long_running(exchange):
            return await handler(exchange)
        try:
            async with asyncio.timeout(limit):
                return await handler(exchange)
        except TimeoutError:
            text = "request did not complete within the allotted timeout"
            raise errors.timeout(text) from None

    return handle
