"""Impersonation: the request goes on as the user that its headers name, if the caller may act as that user.

Stands after authentication and before everything that asks who makes the request. `auth.impersonation` says which
questions decide; here they are put to the authorizer.
"""

from __future__ import annotations

from aiohttp import web

from apiserver.api import errors
from apiserver.auth import impersonation
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.impersonation import Check, Way
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import User
from apiserver.http.filters.interface import Handler
from apiserver.http.scope import Exchange, Services


def with_impersonation(services: Services, handler: Handler) -> Handler:
    async def handle(exchange: Exchange) -> web.StreamResponse:
        headers = exchange.request.headers
        if impersonation.asks(headers):
            try:
                wish = impersonation.wanted(headers.items())
            except impersonation.NoUser as fault:
                raise errors.bad_request(str(fault)) from None
            if wish is not None:
                asked = _attributes(exchange)
                exchange.user = await _act_as(services.authorizer, exchange.user, wish, asked)
        return await handler(exchange)

    return handle


def _attributes(exchange: Exchange) -> Attributes:
    info = exchange.info
    if not info.is_resource:
        return Attributes(exchange.user, info.verb, path=info.path)
    parts = (info.group, info.resource, info.subresource, info.namespace, info.name)
    return Attributes(exchange.user, info.verb, *parts)


async def _act_as(authorizer: Authorizer, requestor: User, wish: User, asked: Attributes) -> User:
    """Raises the 403 of the first way that was tried."""
    first: Exception | None = None
    for way in impersonation.ways(requestor, wish, asked):
        refusal = await _first_refusal(authorizer, way)
        if refusal is None:
            return way.user
        first = first or refusal
    assert first is not None
    raise first


async def _first_refusal(authorizer: Authorizer, way: Way) -> Exception | None:
    for check in way.checks:
        refusal = await _refusal(authorizer, check)
        if refusal is not None:
            return refusal
    return None


async def _refusal(authorizer: Authorizer, check: Check) -> Exception | None:
    reason = ""
    if not check.refusal:
        for asked in check.any_of:
            allowed, reason = await authorizer.decide(asked)
            if allowed:
                return None
    return impersonation.refusal_of(check, reason)
