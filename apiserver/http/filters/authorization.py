"""May this user do this? Asked of ``apiserver.auth.authorizer``; words the refusal as the original does."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from apiserver.api.errors import StatusError
from apiserver.api.field_errors import quote
from apiserver.auth.denial import forbidden
from apiserver.auth.rbac import Attributes
from apiserver.http.filters.interface import Handler
from apiserver.http.request_info import selected_fields
from apiserver.http.scope import Exchange, Services

_DECISION: Final = "authorization.k8s.io/decision"
_REASON: Final = "authorization.k8s.io/reason"
_SELECTING: Final = frozenset({"list", "watch", "deletecollection"})
_ALWAYS_PUBLIC: Final = frozenset({"/healthz", "/livez", "/readyz"})


def with_authorization(services: Services, handler: Handler) -> Handler:
    metrics = services.metrics

    async def handle(exchange: Exchange) -> web.StreamResponse:
        if _public(exchange):
            return await handler(exchange)
        asked = attributes(exchange)
        started = time.perf_counter()
        found = await services.authorizer.authorize(asked)
        allowed, reason = found.allowed, found.reason
        failed = not allowed and bool(found.error)
        result = "allowed" if allowed else "error" if failed else "denied"
        metrics.authorizations[result] += 1
        metrics.authorization_seconds.of((result,)).observe(time.perf_counter() - started)
        exchange.annotations[_DECISION] = "allow" if allowed else "forbid"
        exchange.annotations[_REASON] = "internal error" if failed else reason
        exchange.step("authorized")
        if failed:
            raise StatusError(
                500, "InternalError", f"Internal Server Error: {quote(exchange.info.path)}: {found.error}"
            )
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
    selects = info.verb in _SELECTING
    selector = exchange.query.get("fieldSelector") or ""
    return Attributes(
        exchange.user,
        info.verb,
        info.group,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        fields=selected_fields(selector),
        version=info.version,
        field_selector=selector if selects else "",
        label_selector=(exchange.query.get("labelSelector") or "") if selects else "",
    )
