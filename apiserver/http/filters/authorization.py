"""May this user do this? Asked of ``apiserver.auth.authorizer``; words the refusal as the original does."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from apiserver.auth.denial import forbidden
from apiserver.auth.rbac import Attributes
from apiserver.http.filters.interface import Handler
from apiserver.http.request_info import selected_fields
from apiserver.http.scope import Exchange, Services

_DECISION: Final = "authorization.k8s.io/decision"
_REASON: Final = "authorization.k8s.io/reason"
_ALWAYS_PUBLIC: Final = frozenset({"/healthz", "/livez", "/readyz"})


def with_authorization(services: Services, handler: Handler) -> Handler:
    metrics = services.metrics

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if _public(exchange):
            return await handler(exchange)
        asked = attributes(exchange)
        started = time.perf_counter()
        allowed, reason = await services.authorizer.decide(asked)
        result = "allowed" if allowed else "denied"
        metrics.authorizations[result] += 1
        metrics.authorization_seconds.of((result,)).observe(time.perf_counter() - started)
        exchange.annotations[_DECISION] = "allow" if allowed else "forbid"
        exchange.annotations[_REASON] = reason
        exchange.step("authorized")
        if not allowed:
            raise forbidden(asked, reason)
        return await handler(exchange)

    return handle


def _public(exchange: Exchange) -> bool:
    extension = exchange.extension
    return exchange.info.path.rstrip("/") in _ALWAYS_PUBLIC or (extension is not None and extension.public)


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
