"""Who makes the request: the client's certificate or its token, asked of ``apiserver.auth``."""

from __future__ import annotations

from aiohttp import web

from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services


def with_authentication(services: Services, handler: Handler) -> Handler:
    authenticate = services.authenticator.authenticate

    async def handle(exchange: Exchange) -> web.StreamResponse:
        request = exchange.request
        certificate = None
        if request.transport is not None:
            tls = request.transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(True) if tls is not None else None
        exchange.user = await authenticate(certificate, request.headers.get("Authorization"))
        return await handler(exchange)

    return handle
