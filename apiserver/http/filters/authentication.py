"""Who makes the request: the client's certificate or its token, asked of ``apiserver.auth``."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from apiserver.api.errors import StatusError
from apiserver.auth.user import ANONYMOUS
from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services

_NAMED: Final = frozenset(
    {ANONYMOUS, "system:apiserver", "system:kube-scheduler", "system:kube-controller-manager"}
)
"""Users that metrics tell apart: a series for every user would have no end."""


def with_authentication(services: Services, handler: Handler) -> Handler:
    authenticate, metrics = services.authenticator.authenticate, services.metrics

    def count(result: str, started: float) -> None:
        metrics.authentications[result] += 1
        metrics.authentication_seconds.of((result,)).observe(time.perf_counter() - started)

    async def handle(exchange: Exchange) -> web.StreamResponse:
        request = exchange.request
        if exchange.extension is not None and exchange.extension.public:
            return await handler(exchange)
        certificate = None
        if request.transport is not None:
            tls = request.transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(True) if tls is not None else None
        started = time.perf_counter()
        try:
            exchange.user = await authenticate(certificate, request.headers, exchange.info.path)
        except StatusError:
            count("failure", started)
            raise
        count("success", started)
        name = exchange.user.name
        metrics.users[name if name in _NAMED else "other"] += 1
        exchange.step("authenticated")
        return await handler(exchange)

    return handle
